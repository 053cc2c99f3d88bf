package main

const (
	finitModule = 313
	memfdCreate = 319
)
