package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
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

// form has the file in each of the fields, which are separated by blanks; a note has nothing.
func form(t *testing.T, fields string, file []byte) (contentType string, body *bytes.Buffer) {
	t.Helper()
	body = &bytes.Buffer{}
	writer := multipart.NewWriter(body)
	for _, field := range strings.Fields(fields) {
		part, err := writer.CreateFormFile(field, "selfie.png")
		if err != nil {
			t.Fatal(err)
		}
		if field != "note" {
			_, _ = part.Write(file)
		}
	}
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

// Whoever forwards the form may take another picture than the one that was judged.
func TestOneSelfieAForm(t *testing.T) {
	file, err := os.ReadFile(portrait)
	if err != nil {
		t.Fatal(err)
	}
	url, _ := start(t)
	for fields, code := range map[string]string{
		"image":             "",
		"note image note":   "",
		"image image":       "004",
		"image image_bytes": "004",
		"image_bytes image": "004",
		"note":              "004",
		"image" + strings.Repeat(" note", maxParts): "004",
	} {
		contentType, body := form(t, fields, file)
		if _, said := post(t, url, contentType, body); said.Code != code || said.Success != (code == "") {
			t.Errorf("%s: %+v", fields, said)
		}
	}
}

func TestOtherRequests(t *testing.T) {
	url, _ := start(t)
	for name, test := range map[string]struct {
		method, path string
		status       int
		allow        string
	}{
		"wrong method":    {"GET", "", 405, "POST"},
		"no such address": {"POST", "/more", 404, ""},
		"a slash more":    {"GET", "/", 404, ""},
		"a path to clean": {"GET", "/../selfies", 404, ""},
	} {
		request, err := http.NewRequest(test.method, url+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || string(text) != string(liveness.ErrBadRequest.JSON()) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		header := response.Header
		if response.StatusCode != test.status || header.Get("Allow") != test.allow {
			t.Errorf("%s: status %d, %v", name, response.StatusCode, header)
		}
		if header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v", name, header)
		}
	}
}

func TestTooManySelfies(t *testing.T) {
	for name, places := range map[string]func(*selfies) places{
		"uploads": func(s *selfies) places { return s.uploads },
		"queue":   func(s *selfies) places { return s.queue },
	} {
		url, handler := start(t)
		for places(handler).take() {
		}
		contentType, body := form(t, "image", nil)
		response, said := post(t, url, contentType, body)
		if response.StatusCode != 503 || said.Code != "005" || response.Header.Get("Retry-After") == "" {
			t.Errorf("%s: status %d, %+v", name, response.StatusCode, said)
		}
	}
}

// stall begins a selfie and sends five bytes of its body; the rest is up to the caller.
func stall(t *testing.T, url string) net.Conn {
	t.Helper()
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	connection, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	const header = "POST /%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 10000\r\n" +
		"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
	if _, err := fmt.Fprintf(connection, header, path, host); err != nil {
		t.Fatal(err)
	}
	return connection
}

func TestSlowSendersKeepNobodyOut(t *testing.T) {
	url, handler := start(t)
	handler.maxPause = time.Minute
	for range cap(handler.queue) {
		stall(t, url)
	}
	for len(handler.uploads) < cap(handler.queue) {
		time.Sleep(time.Millisecond)
	}
	contentType, body := form(t, "image", []byte("no image"))
	response, said := post(t, url, contentType, body)
	if response.StatusCode != 400 || said.Code != "002" {
		t.Errorf("status %d, %+v", response.StatusCode, said)
	}
}

func TestSlowSendersAreSentAway(t *testing.T) {
	for name, limit := range map[string]func(*selfies){
		"pause": func(s *selfies) { s.maxPause = 50 * time.Millisecond },
		"whole": func(s *selfies) { s.maxUpload = 200 * time.Millisecond },
	} {
		url, handler := start(t)
		handler.maxPause, handler.maxUpload = 10*time.Second, time.Minute
		limit(handler)
		connection := stall(t, url)
		if name == "whole" {
			go func() {
				for err := error(nil); err == nil; time.Sleep(20 * time.Millisecond) {
					_, err = connection.Write([]byte("-"))
				}
			}()
		}
		_ = connection.SetReadDeadline(time.Now().Add(5 * time.Second))
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text, err := io.ReadAll(response.Body)
		if response.StatusCode != 408 || string(text) != string(liveness.ErrBadRequest.JSON()) {
			t.Errorf("%s: status %d, %q, %v", name, response.StatusCode, text, err)
		}
		if len(handler.uploads) != 0 {
			t.Errorf("%s: the place is not free", name)
		}
	}
}

// blocking is a logger's handler that holds the checks that log until it is closed.
type blocking chan struct{}

func (b blocking) Enabled(context.Context, slog.Level) bool { return true }
func (b blocking) WithAttrs([]slog.Attr) slog.Handler       { return b }
func (b blocking) WithGroup(string) slog.Handler            { return b }

func (b blocking) Handle(context.Context, slog.Record) error {
	<-b
	return nil
}

func TestWaitForACoreIsNoPause(t *testing.T) {
	url, handler := start(t)
	handler.maxPause, handler.maxWait = 200*time.Millisecond, time.Minute
	hold := make(blocking)
	if err := liveness.SetLogger(slog.New(hold)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = liveness.SetLogger(nil) })
	time.AfterFunc(time.Second, func() { close(hold) })
	contentType, body := form(t, "image", []byte("no image"))
	text := body.String()
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			response, said := post(t, url, contentType, strings.NewReader(text))
			if response.StatusCode != 400 || said.Code != "002" {
				t.Errorf("status %d, %+v", response.StatusCode, said)
			}
		})
	}
	group.Wait()
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
