package liveness

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"
)

func TestEveryWayInSaysTheSame(t *testing.T) {
	engine := newEngine(t, Config{})
	file := portrait(t)
	first, err := engine.Check(file)
	if err != nil {
		t.Fatal(err)
	}
	if !first.Liveness || first.Score != first.LiveProbability || first.Score < first.Threshold {
		t.Errorf("a portrait is live: %+v", first)
	}
	if first.Faces != 1 || first.Face.Width < 50 || first.Face.Landmarks[0].X >= first.Face.Landmarks[1].X {
		t.Errorf("the face: %+v", first.Face)
	}
	sum := first.LiveProbability + first.PrintProbability + first.ReplayProbability
	if math.Abs(sum-1) > 1e-3 || first.Timings.Total <= 0 || len(first.Reasons) != 0 {
		t.Errorf("what the verdict rests on: %+v", first)
	}
	for name, check := range map[string]func() (Result, error){
		"base64": func() (Result, error) { return engine.CheckBase64(base64.StdEncoding.EncodeToString(file)) },
		"file":   func() (Result, error) { return engine.CheckFile(portraitPath()) },
		"pixels": func() (Result, error) { return engine.CheckPixels(portraitPixels(t)) },
	} {
		result, err := check()
		result.Timings = first.Timings
		if err != nil || !equal(result, first) {
			t.Errorf("%s: %+v, %v", name, result, err)
		}
	}
}

func equal(a, b Result) bool {
	return a.Score == b.Score && a.Liveness == b.Liveness && a.Face == b.Face && a.Quality == b.Quality
}

func TestErrorsHaveKinds(t *testing.T) {
	engine := newEngine(t, Config{})
	result, err := engine.Check([]byte("no image"))
	if !errors.Is(err, ErrUnreadableImage) || errors.Is(err, ErrImageTooLarge) {
		t.Errorf("%v is not ErrUnreadableImage", err)
	}
	if result.Liveness || result.Score != 0 || result.Faces != 0 {
		t.Errorf("a failure has a result: %+v", result)
	}
	var typed *Error
	if !errors.As(err, &typed) {
		t.Fatalf("%T is no *Error", err)
	}
	if typed.Code != "002" || typed.Message != "Error reading image, please check the request format." || typed.Reason == "" {
		t.Errorf("%+v", typed)
	}
	if !strings.Contains(err.Error(), typed.Code) || !strings.Contains(err.Error(), typed.Reason) {
		t.Errorf("%v says neither code nor reason", err)
	}
	if (&Error{Code: "051"}).HTTPStatus() != 500 {
		t.Error("an error that this package did not make has the status of an unforeseen one")
	}
}

func TestCodesOfTheContract(t *testing.T) {
	for code, want := range map[string]struct {
		err    *Error
		status int
	}{
		"001": {ErrUnauthorized, 401},
		"002": {ErrUnreadableImage, 400},
		"003": {ErrImageTooLarge, 413},
		"004": {ErrBadRequest, 400},
		"005": {ErrInternal, 500},
		"051": {ErrFaceCount, 422},
		"052": {ErrMaskDetected, 422},
	} {
		if want.err.Code != code || want.err.Message == "" || want.err.HTTPStatus() != want.status {
			t.Errorf("%s: %+v, status %d", code, want.err, want.err.HTTPStatus())
		}
		var answer struct {
			Success *bool
			Code    string `json:"error_code"`
			Message string `json:"error_message"`
		}
		err := json.Unmarshal(want.err.JSON(), &answer)
		if err != nil || answer.Success == nil || *answer.Success || answer.Code != code || answer.Message != want.err.Message {
			t.Errorf("%s", want.err.JSON())
		}
	}
}

func TestNothingIsUnreadable(t *testing.T) {
	engine := newEngine(t, Config{})
	for name, image := range map[string]Image{
		"nil":          Encoded(nil),
		"empty":        Encoded{},
		"empty base64": Base64(""),
		"no file":      File("/nonexistent.jpg"),
		"a folder":     File("/"),
		"no path":      File(""),
		"NUL":          File("portrait\x00.png"),
	} {
		if _, err := engine.CheckContext(t.Context(), image); !errors.Is(err, ErrUnreadableImage) {
			t.Errorf("%s: %v", name, err)
		}
		text, err := engine.CheckJSON(t.Context(), image, false)
		if !errors.Is(err, ErrUnreadableImage) || string(text) != string(ErrUnreadableImage.JSON()) {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
}

// What is refused before the library is asked is told like what it refuses itself.
func TestDetailsOfARefusalSayWhy(t *testing.T) {
	engine := newEngine(t, Config{})
	pixels := portraitPixels(t)
	pixels.Width = -1
	for name, image := range map[string]Image{"NUL": File("portrait\x00.png"), "width": pixels, "library": File(""), "nil": nil} {
		text, err := engine.CheckJSON(t.Context(), image, true)
		var answer struct {
			Details struct{ Reason string }
		}
		var typed *Error
		if !errors.As(err, &typed) || json.Unmarshal(text, &answer) != nil || typed.Reason == "" || answer.Details.Reason != typed.Reason {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
}

func TestARefusedImageSaysWhy(t *testing.T) {
	engine := newEngine(t, Config{})
	grey := Pixels{Format: Gray, Data: make([]byte, 64), Width: 8, Height: 8}
	two := portraitPixels(t)
	two.Data, two.Height = slices.Concat(two.Data, two.Data), 2*two.Height
	for name, want := range map[string]struct {
		image   Image
		kind    error
		reasons []Reason
		faces   int
	}{
		"no face":    {grey, ErrFaceCount, []Reason{NoFace}, 0},
		"two faces":  {two, ErrFaceCount, []Reason{SeveralFaces}, 2},
		"unreadable": {Encoded("no image"), ErrUnreadableImage, nil, 0},
	} {
		var err *Error
		_, failure := engine.CheckContext(t.Context(), want.image)
		_, inJSON := engine.CheckJSON(t.Context(), want.image, false)
		for _, failure := range []error{failure, inJSON} {
			if !errors.As(failure, &err) || !errors.Is(err, want.kind) || !slices.Equal(err.Reasons, want.reasons) || err.Faces != want.faces {
				t.Errorf("%s: %v, %d faces, %v", name, err.Reasons, err.Faces, failure)
			}
		}
	}
}

func TestInsideAnObjectWithPointers(t *testing.T) {
	engine := newEngine(t, Config{})
	// C gets the bytes only, so a pointer beside them must not be held against the call.
	type frame struct {
		next  *frame
		bytes [64]byte
	}
	held := &frame{next: &frame{}}
	text := held.bytes[:copy(held.bytes[:], "no image")]
	for name, image := range map[string]Image{
		"encoded": Encoded(text),
		"base64":  Base64(unsafe.String(unsafe.SliceData(text), len(text))),
	} {
		if _, err := engine.CheckContext(t.Context(), image); !errors.Is(err, ErrUnreadableImage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	pixels := Pixels{Format: Gray, Data: held.bytes[:], Width: 8, Height: 8}
	if _, err := engine.CheckPixels(pixels); !errors.Is(err, ErrFaceCount) {
		t.Errorf("pixels: %v", err)
	}
}

func TestInvalidPixels(t *testing.T) {
	engine := newEngine(t, Config{})
	for name, change := range map[string]func(*Pixels){
		"no format":        func(p *Pixels) { p.Format = 0 },
		"unknown format":   func(p *Pixels) { p.Format = 99 },
		"no data":          func(p *Pixels) { p.Data = nil },
		"too little data":  func(p *Pixels) { p.Data = p.Data[:100] },
		"negative width":   func(p *Pixels) { p.Width = -1 },
		"no height":        func(p *Pixels) { p.Height = 0 },
		"huge height":      func(p *Pixels) { p.Height = 1 << 40 },
		"negative stride":  func(p *Pixels) { p.Stride = -2048 },
		"small stride":     func(p *Pixels) { p.Stride = 7 },
		"huge stride":      func(p *Pixels) { p.Stride = math.MaxInt },
		"orientation 9":    func(p *Pixels) { p.Orientation = 9 },
		"orientation -1":   func(p *Pixels) { p.Orientation = -1 },
		"negative formats": func(p *Pixels) { p.Format = -1 },
	} {
		pixels := portraitPixels(t)
		change(&pixels)
		if result, err := engine.CheckPixels(pixels); !errors.Is(err, ErrBadRequest) || result.Liveness {
			t.Errorf("%s: %+v, %v", name, result, err)
		}
		text, err := engine.CheckJSON(t.Context(), pixels, false)
		if !errors.Is(err, ErrBadRequest) || string(text) != string(ErrBadRequest.JSON()) {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
}

func TestInvalidConfigurations(t *testing.T) {
	before := openHandles.Load()
	for name, config := range map[string]struct {
		Config
		want error
	}{
		"threshold":        {Config{Threshold: 1.5}, ErrBadRequest},
		"NaN":              {Config{Threshold: float32(math.NaN())}, ErrBadRequest},
		"mask threshold":   {Config{MaskThreshold: -1}, ErrBadRequest},
		"second face":      {Config{SecondFaceRatio: 2}, ErrBadRequest},
		"slots":            {Config{MaxConcurrent: -1}, ErrBadRequest},
		"models":           {Config{ModelsDir: "/nonexistent"}, ErrInternal},
		"models with NUL":  {Config{ModelsDir: "models\x00"}, ErrBadRequest},
		"runtime":          {Config{ONNXRuntime: "/nonexistent.so"}, ErrInternal},
		"runtime with NUL": {Config{ONNXRuntime: "a\x00", ModelsDir: "b"}, ErrBadRequest},
	} {
		engine, err := New(config.Config)
		var typed *Error
		if !errors.Is(err, config.want) || !errors.As(err, &typed) || typed.Reason == "" || engine != nil {
			t.Errorf("%s: %v, %v", name, engine, err)
		}
	}
	if after := openHandles.Load(); after != before {
		t.Errorf("%d handles are left", after-before)
	}
}

func TestQualityHasReasons(t *testing.T) {
	engine := newEngine(t, Config{StrictQuality: true})
	pixels := portraitPixels(t)
	dark := make([]byte, len(pixels.Data))
	for i, value := range pixels.Data {
		dark[i] = value / 8
		if i%4 == 3 {
			dark[i] = 255
		}
	}
	pixels.Data = dark
	if _, err := engine.CheckPixels(pixels); !errors.Is(err, ErrFaceCount) {
		t.Errorf("strict quality lets a dark image pass: %v", err)
	} else if typed := err.(*Error); !slices.Contains(typed.Reasons, TooDark) || typed.Faces != 1 {
		t.Errorf("%v, %d faces", typed.Reasons, typed.Faces)
	}
	if got := reasons(1<<63 | 256 | 8); len(got) != 2 || got[0] != FaceTooSmall || got[1] != TooDark {
		t.Errorf("reasons %v", got)
	}
}

func TestInfo(t *testing.T) {
	engine := newEngine(t, Config{})
	info, err := engine.Info()
	if err != nil || info.Version != Version() || info.Engine == "" || info.Models == "" || len(info.Files) < 3 || len(info.Files[0].SHA256) != 64 {
		t.Errorf("%+v, %v", info, err)
	}
}

// inTime gives what a call says that must not wait.
func inTime(call func() error) error {
	said := make(chan error, 1)
	go func() { said <- call() }()
	select {
	case err := <-said:
		return err
	case <-time.After(10 * time.Second):
		return errors.New("it waits")
	}
}

func TestAnEngineForAnyNumberOfChecksCloses(t *testing.T) {
	engine, err := New(Config{MaxConcurrent: math.MaxInt})
	if err != nil {
		t.Fatal(err)
	}
	if err := inTime(engine.Close); err != nil {
		t.Fatal(err)
	}
}

func TestInfoWaitsForNoCheck(t *testing.T) {
	engine := newEngine(t, Config{MaxConcurrent: 1})
	release := occupy(engine)
	info := func() error {
		_, err := engine.Info()
		return err
	}
	if err := inTime(info); err != nil {
		t.Error(err)
	}
	release()
	var inside error
	asking := &lines{least: slog.LevelDebug, then: func() { inside = inTime(info) }}
	if err := SetLogger(slog.New(asking)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = SetLogger(nil) })
	_, err := engine.CheckFile(portraitPath())
	if err != nil || inside != nil || len(asking.seen) != 1 {
		t.Errorf("%v, from inside the logger %v, %d lines", err, inside, len(asking.seen))
	}
}

func TestInfoIsTheCallers(t *testing.T) {
	engine := newEngine(t, Config{})
	for range 2 {
		info, err := engine.Info()
		if err != nil || info.Files[0].Name != "detector" {
			t.Fatalf("%+v, %v", info, err)
		}
		info.Files[0].Name = "changed"
	}
}

func TestContextEndsWhileWaiting(t *testing.T) {
	engine := newEngine(t, Config{MaxConcurrent: 1})
	release := occupy(engine)
	defer release()
	cause := errors.New("the client went away")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
	if result, err := engine.CheckContext(ctx, File(portraitPath())); !errors.Is(err, cause) || result.Liveness {
		t.Errorf("%+v, %v", result, err)
	}
	timeout, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	text, err := engine.CheckJSON(timeout, File(portraitPath()), false)
	if !errors.Is(err, context.DeadlineExceeded) || text != nil {
		t.Errorf("%s, %v", text, err)
	}
	var typed *Error
	if errors.As(err, &typed) {
		t.Errorf("a context that ended has the code %s", typed.Code)
	}
}

func TestContextThatEndsWithACauseHasItsErrorToo(t *testing.T) {
	engine := newEngine(t, Config{MaxConcurrent: 1})
	defer occupy(engine)()
	cause := errors.New("the budget of the request is spent")
	timeout, stop := context.WithTimeoutCause(t.Context(), time.Millisecond, cause)
	defer stop()
	for range 2 {
		_, err := engine.CheckContext(timeout, File(portraitPath()))
		if !errors.Is(err, cause) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := engine.CheckContext(canceled, File(portraitPath()))
	if err.Error() != "liveness: not checked: context canceled" {
		t.Error(err)
	}
}

func TestNoContextOrImageIsABadRequest(t *testing.T) {
	engine := newEngine(t, Config{})
	var noContext context.Context
	for name, missing := range map[string]struct {
		ctx   context.Context
		image Image
	}{
		"context": {noContext, File(portraitPath())},
		"image":   {t.Context(), nil},
	} {
		result, err := engine.CheckContext(missing.ctx, missing.image)
		var typed *Error
		if !errors.Is(err, ErrBadRequest) || !errors.As(err, &typed) || typed.Reason == "" || result.Liveness {
			t.Errorf("no %s: %+v, %v", name, result, err)
		}
		text, err := engine.CheckJSON(missing.ctx, missing.image, false)
		if !errors.Is(err, ErrBadRequest) || string(text) != string(ErrBadRequest.JSON()) {
			t.Errorf("no %s: %s, %v", name, text, err)
		}
	}
}

func TestContextThatHasEnded(t *testing.T) {
	engine := newEngine(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// Free slots and an ended context are both ready: not once may the check take place.
	for range 50 {
		if _, err := engine.CheckContext(ctx, Encoded(nil)); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}

func TestNoMoreChecksThanSlots(t *testing.T) {
	engine := newEngine(t, Config{MaxConcurrent: 2})
	if cap(engine.slots) != 2 {
		t.Fatalf("%d slots", cap(engine.slots))
	}
	var waiting sync.WaitGroup
	for range 8 {
		waiting.Go(func() {
			if result, err := engine.CheckFile(portraitPath()); err != nil || !result.Liveness {
				t.Errorf("%+v, %v", result, err)
			}
		})
	}
	waiting.Wait()
	if len(engine.slots) != 0 {
		t.Errorf("%d slots are still taken", len(engine.slots))
	}
}

func TestCloseWhileChecksRun(t *testing.T) {
	file := portrait(t)
	for range 5 {
		engine := newEngine(t, Config{MaxConcurrent: 2})
		var group sync.WaitGroup
		for i := range 6 {
			group.Go(func() {
				for {
					result, err := engine.Check(file)
					if errors.Is(err, ErrClosed) {
						return
					}
					if err != nil || !result.Liveness {
						t.Errorf("check %d: %+v, %v", i, result, err)
						return
					}
				}
			})
		}
		time.Sleep(15 * time.Millisecond)
		for range 3 {
			group.Go(func() { _ = engine.Close() })
		}
		group.Wait()
		if engine.handle != nil {
			t.Error("the handle is still there")
		}
	}
}

func TestCloseWakesThoseWhoWait(t *testing.T) {
	engine := newEngine(t, Config{MaxConcurrent: 1})
	release := occupy(engine)
	refused := make(chan error)
	go func() {
		_, err := engine.CheckFile(portraitPath())
		refused <- err
	}()
	closed := make(chan struct{})
	go func() {
		_ = engine.Close()
		close(closed)
	}()
	if err := <-refused; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	select {
	case <-closed:
		t.Error("Close does not wait for the check that runs")
	case <-time.After(20 * time.Millisecond):
	}
	release()
	<-closed
}

func TestClosedEnginesRefuse(t *testing.T) {
	closed := newEngine(t, Config{})
	for range 2 {
		if err := closed.Close(); err != nil {
			t.Error(err)
		}
	}
	for name, engine := range map[string]*Engine{"closed": closed, "zero": {}, "nil": nil} {
		if result, err := engine.CheckFile(portraitPath()); !errors.Is(err, ErrClosed) || result.Liveness {
			t.Errorf("%s: %+v, %v", name, result, err)
		}
		if text, err := engine.CheckJSON(t.Context(), Encoded(nil), true); !errors.Is(err, ErrClosed) || text != nil {
			t.Errorf("%s: %s, %v", name, text, err)
		}
		if _, err := engine.Info(); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
		if err := engine.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// lines is a handler of log/slog that keeps what it gets.
type lines struct {
	slog.Handler
	sync.Mutex
	least slog.Level
	seen  []slog.Record
	then  func()
}

func (l *lines) Enabled(_ context.Context, level slog.Level) bool { return level >= l.least }

func (l *lines) Handle(_ context.Context, record slog.Record) error {
	l.Lock()
	l.seen = append(l.seen, record)
	l.Unlock()
	if l.then != nil {
		l.then()
	}
	return nil
}

func TestLogger(t *testing.T) {
	engine := newEngine(t, Config{})
	check := func() { _, _ = engine.Check([]byte("no image")) }
	verbose := &lines{least: slog.LevelDebug}
	if err := SetLogger(slog.New(verbose)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = SetLogger(nil) })
	check()
	if len(verbose.seen) != 1 || verbose.seen[0].Level != slog.LevelDebug || !strings.Contains(verbose.seen[0].Message, "002") {
		t.Errorf("%+v", verbose.seen)
	}

	quiet := &lines{least: slog.LevelWarn}
	if err := SetLogger(slog.New(quiet)); err != nil {
		t.Fatal(err)
	}
	check()
	if len(quiet.seen) != 0 || len(verbose.seen) != 1 {
		t.Errorf("%+v, %+v", quiet.seen, verbose.seen)
	}
	if _, err := engine.CheckPixels(Pixels{Format: RGB, Width: 1, Height: 1}); err == nil || len(quiet.seen) != 1 {
		t.Errorf("%+v, %v", quiet.seen, err)
	}

	if err := SetLogger(nil); err != nil {
		t.Fatal(err)
	}
	check()
	if len(quiet.seen) != 1 || len(verbose.seen) != 1 {
		t.Error("the library is not silent")
	}
}

func TestLoggerThatMisbehaves(t *testing.T) {
	engine := newEngine(t, Config{})
	t.Cleanup(func() { _ = SetLogger(nil) })
	var inside error
	nested := &lines{least: slog.LevelDebug, then: func() { inside = SetLogger(nil) }}
	panicking := &lines{least: slog.LevelDebug, then: func() { panic("from the logger") }}
	for _, handler := range []*lines{nested, panicking} {
		if err := SetLogger(slog.New(handler)); err != nil {
			t.Fatal(err)
		}
		if _, err := engine.Check([]byte("no image")); !errors.Is(err, ErrUnreadableImage) {
			t.Error(err)
		}
		if len(handler.seen) != 1 {
			t.Errorf("%d lines", len(handler.seen))
		}
	}
	if !errors.Is(inside, ErrBadRequest) {
		t.Errorf("SetLogger from inside the logger: %v", inside)
	}
}

func BenchmarkCheck(b *testing.B) {
	engine := newEngine(b, Config{})
	file := portrait(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := engine.Check(file); err != nil {
				b.Error(err)
			}
		}
	})
}
