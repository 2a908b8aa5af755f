package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"liveness.example/liveness"
)

const portrait = "../../../../tests/fixtures/astronaut.png"

type answer struct {
	Success bool
	Result  struct {
		Liveness bool
		Score    float64
	}
	Code string `json:"error_code"`
}

func start(t *testing.T) (url string, handler *selfies) {
	t.Helper()
	engine, err := liveness.New(liveness.Config{MaxConcurrent: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	handler = newSelfies(engine, slog.New(slog.DiscardHandler))
	server := httptest.NewServer(newServer(handler).Handler)
	t.Cleanup(server.Close)
	return server.URL + "/selfies", handler
}

func form(t *testing.T, field string, file []byte) (contentType string, body *bytes.Buffer) {
	t.Helper()
	body = &bytes.Buffer{}
	writer := multipart.NewWriter(body)
	part, err := writer.CreateFormFile(field, "selfie.png")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(file)
	_ = writer.Close()
	return writer.FormDataContentType(), body
}

func post(t *testing.T, url, contentType string, body io.Reader) (*http.Response, answer) {
	t.Helper()
	response, err := http.Post(url, contentType, body)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var said answer
	if err := json.NewDecoder(response.Body).Decode(&said); err != nil {
		t.Fatal(err)
	}
	return response, said
}

func TestSelfies(t *testing.T) {
	file, err := os.ReadFile(portrait)
	if err != nil {
		t.Fatal(err)
	}
	url, _ := start(t)
	for name, test := range map[string]struct {
		field  string
		file   []byte
		status int
		code   string
	}{
		"portrait":   {"image", file, 200, ""},
		"no image":   {"image", []byte("no image"), 400, "002"},
		"empty":      {"image", nil, 400, "002"},
		"too large":  {"image", append(bytes.Clone(file), make([]byte, maxFile)...), 413, "003"},
		"way larger": {"image", make([]byte, 2*maxFile), 413, "003"},
		"no field":   {"photo", file, 400, "004"},
	} {
		contentType, body := form(t, test.field, test.file)
		response, said := post(t, url, contentType, body)
		if response.StatusCode != test.status || said.Code != test.code || said.Success != (test.code == "") {
			t.Errorf("%s: status %d, %+v", name, response.StatusCode, said)
		}
		if said.Result.Liveness != (name == "portrait") {
			t.Errorf("%s: %+v", name, said)
		}
	}
	for _, contentType := range []string{"", "text/plain", "multipart/form-data", "multipart/form-data; boundary=x"} {
		response, said := post(t, url, contentType, strings.NewReader("no form"))
		if response.StatusCode != 400 || said.Code != "004" {
			t.Errorf("%q: status %d, %+v", contentType, response.StatusCode, said)
		}
	}
}

func TestTooManySelfies(t *testing.T) {
	url, handler := start(t)
	for range cap(handler.queue) {
		handler.queue <- struct{}{}
	}
	contentType, body := form(t, "image", nil)
	response, said := post(t, url, contentType, body)
	if response.StatusCode != 503 || said.Code != "005" || response.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, %+v", response.StatusCode, said)
	}
}

func TestNoCoreInTime(t *testing.T) {
	url, handler := start(t)
	handler.maxWait = 0
	contentType, body := form(t, "image", nil)
	if response, said := post(t, url, contentType, body); response.StatusCode != 503 || said.Code != "005" {
		t.Errorf("status %d, %+v", response.StatusCode, said)
	}
}

func TestRunStopsInOrder(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { _ = liveness.SetLogger(nil) })
	lines, log := io.Pipe()
	stopped := make(chan error, 1)
	go func() { stopped <- run(ctx, "127.0.0.1:0", slog.New(slog.NewJSONHandler(log, nil))) }()
	var ready struct{ Address string }
	decoder := json.NewDecoder(lines)
	for ready.Address == "" {
		if err := decoder.Decode(&ready); err != nil {
			t.Fatal(err)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, io.MultiReader(decoder.Buffered(), lines)) }()

	// A request that is under way when the end comes is answered. Its body is sent when the server
	// reads it, not before.
	body, sent := io.Pipe()
	request, err := http.NewRequest(http.MethodPost, "http://"+ready.Address+"/selfies", body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	request.Header.Set("Expect", "100-continue")
	go func() {
		_, _ = sent.Write([]byte("--b\r\n"))
		cancel()
		time.Sleep(200 * time.Millisecond)
		_, _ = sent.Write([]byte("--b--\r\n"))
		_ = sent.Close()
	}()
	client := http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusBadRequest {
		t.Error(response.Status)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := run(t.Context(), "no address", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("nobody can listen there")
	}
}
