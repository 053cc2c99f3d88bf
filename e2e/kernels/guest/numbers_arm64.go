package main

const (
	finitModule = 273
	memfdCreate = 279
)
