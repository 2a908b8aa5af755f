package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"time"

	"liveness.example/liveness"
)

const (
	// maxFile is the limit of the contract. The library has it as well; here it bounds what is read.
	maxFile = 10 << 20
	// maxForm leaves room for the form around the file.
	maxForm = maxFile + 64<<10
)

var errBusy = errors.New("too many selfies at once")

// places bounds what is done at once.
type places chan struct{}

func (p places) take() bool {
	select {
	case p <- struct{}{}:
		return true
	default:
		return false
	}
}

func (p places) leave() { <-p }

// selfies answers POST requests with a multipart file `image`.
type selfies struct {
	engine *liveness.Engine
	logger *slog.Logger
	// maxPause is how long a sender may pause, and maxUpload how long all of a body may take.
	maxPause, maxUpload time.Duration
	// maxWait is how long a selfie may wait for a core.
	maxWait time.Duration
	// uploads bounds the selfies that are being read, and queue those that are checked or wait for
	// it: slow senders take no place there. A limit for each address is left to the proxy before.
	uploads, queue places
}

func newSelfies(engine *liveness.Engine, logger *slog.Logger) *selfies {
	return &selfies{
		engine:    engine,
		logger:    logger,
		maxPause:  5 * time.Second,
		maxUpload: 30 * time.Second,
		maxWait:   5 * time.Second,
		uploads:   make(places, 64),
		queue:     make(places, 32),
	}
}

// ServeHTTP does without http.ServeMux, whose own answers are text and not the contract's JSON.
func (s *selfies) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/selfies":
		s.refuse(w, http.StatusNotFound, liveness.ErrBadRequest)
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		s.refuse(w, http.StatusMethodNotAllowed, liveness.ErrBadRequest)
	default:
		text, err := s.check(w, r)
		s.answer(w, text, err)
	}
}

func (s *selfies) check(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	image, err := s.upload(w, r)
	if err != nil {
		return nil, err
	}
	if !s.queue.take() {
		return nil, errBusy
	}
	defer s.queue.leave()
	// The request's context ends when the client goes away, so that nothing is checked for nobody.
	ctx, cancel := context.WithTimeout(r.Context(), s.maxWait)
	defer cancel()
	return s.engine.CheckJSON(ctx, liveness.Encoded(image), false)
}

// upload gives the selfie when all of the body has arrived.
func (s *selfies) upload(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if !s.uploads.take() {
		return nil, errBusy
	}
	defer s.uploads.leave()
	connection := http.NewResponseController(w)
	body := &patient{
		Reader:     http.MaxBytesReader(w, r.Body, maxForm),
		connection: connection,
		pause:      s.maxPause,
		end:        time.Now().Add(s.maxUpload),
	}
	image, err := readImage(r.Header.Get("Content-Type"), body)
	if err == nil {
		_, err = io.Copy(io.Discard, body)
	}
	if err != nil {
		// Why the body ended is known better than what the parser of forms made of it.
		return nil, cmp.Or(body.failure, err)
	}
	// A deadline that passed while the selfie waits for a core would end the request's context.
	return image, connection.SetReadDeadline(time.Time{})
}

// patient is a body whose sender may pause and take its time, within limits.
type patient struct {
	io.Reader
	connection *http.ResponseController
	pause      time.Duration
	end        time.Time
	failure    error
}

func (p *patient) Read(into []byte) (int, error) {
	until := time.Now().Add(p.pause)
	if until.After(p.end) {
		until = p.end
	}
	if p.failure = p.connection.SetReadDeadline(until); p.failure != nil {
		return 0, p.failure
	}
	n, err := p.Reader.Read(into)
	if err != nil && err != io.EOF {
		p.failure = requestError(err)
	}
	return n, err
}

// maxParts is more than any form of a selfie has.
const maxParts = 32

// readImage gives the file of the form's field `image`, of which there is one. All of the form is read: whoever forwards
// it may take the last of several pictures, where this would have judged the first.
func readImage(contentType string, body io.Reader) ([]byte, error) {
	media, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || media != "multipart/form-data" {
		return nil, liveness.ErrBadRequest
	}
	form := multipart.NewReader(body, parameters["boundary"])
	var image []byte
	for range maxParts {
		part, err := form.NextPart()
		if err == io.EOF && image != nil {
			return image, nil
		}
		if err != nil {
			return nil, liveness.ErrBadRequest
		}
		switch part.FormName() {
		case "image":
			if image != nil || part.FileName() == "" {
				return nil, liveness.ErrBadRequest
			}
			if image, err = readFile(part); err != nil {
				return nil, err
			}
		case "image_bytes":
			return nil, liveness.ErrBadRequest
		}
	}
	return nil, liveness.ErrBadRequest
}

// readFile never gives nil without an error: an empty file is an image that cannot be read.
func readFile(part io.Reader) ([]byte, error) {
	file, err := io.ReadAll(io.LimitReader(part, maxFile+1))
	if err != nil {
		return nil, liveness.ErrBadRequest
	}
	if len(file) > maxFile {
		return nil, liveness.ErrImageTooLarge
	}
	return file, nil
}

func requestError(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return liveness.ErrImageTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err
	default:
		return liveness.ErrBadRequest
	}
}

// answer sends the contract's JSON. Neither image nor JSON is logged.
func (s *selfies) answer(w http.ResponseWriter, text []byte, err error) {
	var failure *liveness.Error
	switch {
	case err == nil:
		send(w, http.StatusOK, text)
	case errors.As(err, &failure):
		s.refuse(w, failure.HTTPStatus(), failure)
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.refuse(w, http.StatusRequestTimeout, liveness.ErrBadRequest)
	default:
		// There is no place, the context ended, or the engine was closed.
		s.logger.Warn("too busy", "cause", err)
		w.Header().Set("Retry-After", "1")
		send(w, http.StatusServiceUnavailable, liveness.ErrInternal.JSON())
	}
}

func (s *selfies) refuse(w http.ResponseWriter, status int, why *liveness.Error) {
	s.logger.Info("refused", "status", status, "code", why.Code)
	send(w, status, why.JSON())
}

func send(w http.ResponseWriter, status int, text []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
