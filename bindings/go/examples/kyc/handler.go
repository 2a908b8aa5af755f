package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"time"

	"liveness.example/liveness"
)

const (
	// maxFile is the limit of the contract. The library has it as well; here it bounds what is read.
	maxFile = 10 << 20
	// maxForm leaves room for the form around the file.
	maxForm = maxFile + 64<<10
)

// selfies answers POST requests with a multipart file `image`.
type selfies struct {
	engine *liveness.Engine
	logger *slog.Logger
	// maxWait is how long a selfie may wait for a core.
	maxWait time.Duration
	// queue bounds the selfies in memory, those that are being read included.
	queue chan struct{}
}

func newSelfies(engine *liveness.Engine, logger *slog.Logger) *selfies {
	return &selfies{
		engine:  engine,
		logger:  logger,
		maxWait: 5 * time.Second,
		queue:   make(chan struct{}, 32),
	}
}

func (s *selfies) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case s.queue <- struct{}{}:
		defer func() { <-s.queue }()
	default:
		s.busy(w)
		return
	}
	image, err := readImage(w, r)
	if err != nil {
		s.answer(w, nil, err)
		return
	}
	// The request's context ends when the client goes away, so that nothing is checked for nobody.
	ctx, cancel := context.WithTimeout(r.Context(), s.maxWait)
	defer cancel()
	text, err := s.engine.CheckJSON(ctx, liveness.Encoded(image), false)
	s.answer(w, text, err)
}

// readImage gives the file of the form's field `image`.
func readImage(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	media, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" {
		return nil, liveness.ErrBadRequest
	}
	form := multipart.NewReader(http.MaxBytesReader(w, r.Body, maxForm), parameters["boundary"])
	for {
		part, err := form.NextPart()
		if err != nil {
			return nil, requestError(err)
		}
		if part.FormName() != "image" || part.FileName() == "" {
			continue
		}
		image, err := io.ReadAll(io.LimitReader(part, maxFile+1))
		if err != nil {
			return nil, requestError(err)
		}
		if len(image) > maxFile {
			return nil, liveness.ErrImageTooLarge
		}
		return image, nil
	}
}

func requestError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return liveness.ErrImageTooLarge
	}
	return liveness.ErrBadRequest
}

// answer sends the contract's JSON. Neither image nor JSON is logged.
func (s *selfies) answer(w http.ResponseWriter, text []byte, err error) {
	status := http.StatusOK
	var failure *liveness.Error
	switch {
	case err == nil:
	case errors.As(err, &failure):
		status = failure.HTTPStatus()
		if text == nil {
			text = failure.JSON()
		}
		s.logger.Info("refused", "code", failure.Code)
	default:
		// The context ended, or the engine was closed.
		s.busy(w)
		return
	}
	send(w, status, text)
}

func (s *selfies) busy(w http.ResponseWriter) {
	s.logger.Warn("too busy")
	w.Header().Set("Retry-After", "1")
	send(w, http.StatusServiceUnavailable, liveness.ErrInternal.JSON())
}

func send(w http.ResponseWriter, status int, text []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
