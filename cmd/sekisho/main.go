// Command sekisho is the checkpoint for containers: scanner, gate, enforcer
// and auditor in one program.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"sekisho/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := cli.Main(ctx, cli.Process{Program: os.Args[0], Args: os.Args[1:], Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
	stop()
	os.Exit(status)
}
