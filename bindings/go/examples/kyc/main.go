// Command kyc is a back end of an identity check that takes selfies and answers with the JSON of the
// contract: what a service of one's own needs around the library, and no more.
//
//	go run ./examples/kyc -listen 127.0.0.1:8081
//	curl -F image=@selfie.jpg http://127.0.0.1:8081/selfies
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"liveness.example/liveness"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8081", "address to listen on")
	flag.Parse()
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := run(ctx, *listen, logger); err != nil {
		logger.Error("stopped", "cause", err)
		os.Exit(1)
	}
}

// run serves until the context ends, and then finishes what is running.
func run(ctx context.Context, listen string, logger *slog.Logger) error {
	if err := liveness.SetLogger(logger); err != nil {
		return err
	}
	engine, err := liveness.New(liveness.Config{})
	if err != nil {
		return err
	}
	defer engine.Close()
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	server := newServer(newSelfies(engine, logger))
	logger.Info("ready", "address", listener.Addr().String())
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		stopped <- server.Shutdown(last)
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// newServer sets the limits that concern the connection, and bodies that nobody reads; those of a
// selfie are in handler.go.
func newServer(selfies *selfies) *http.Server {
	return &http.Server{
		Handler:           selfies,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(selfies.logger.Handler(), slog.LevelWarn),
	}
}
