package liveness

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Config holds the choices for an [Engine]. The zero value takes every default.
type Config struct {
	// Threshold is the live probability from which on a face counts as live: more than 0 and less
	// than 1. Zero takes the calibrated threshold of the models, which is 0.5 for the embedded ones.
	Threshold float32
	// MaskThreshold is the probability of a face mask from which on an image is refused with
	// [ErrMaskDetected]: more than 0 and less than 1. Zero takes the threshold of the models.
	MaskThreshold float32
	// SecondFaceRatio is the share of the main face's height from which on a second face counts and
	// the image is refused with [ErrFaceCount]: more than 0, at most 1. Zero is 0.3.
	SecondFaceRatio float32
	// StrictQuality refuses images with one of the quality [Reason]s with [ErrFaceCount]; otherwise
	// they are reported only.
	StrictQuality bool
	// MaxFileBytes is the largest encoded file in bytes, counted after base64 decoding; above it is
	// [ErrImageTooLarge]. Zero is 10 MiB.
	MaxFileBytes uint64
	// MaxPixels and MaxSide are the largest number of pixels, and the largest width and height, of
	// an image; above them is [ErrUnreadableImage]. Zero is 100,000,000 and 16,384.
	MaxPixels uint64
	MaxSide   uint32
	// TimeLimit is the longest time for a check; a longer one is [ErrInternal]. The clock is looked at
	// between the steps of a check and while a file is decoded, so an answer can be late by the time of
	// one step. It is rounded up to milliseconds. Zero is ten seconds.
	TimeLimit time.Duration
	// ONNXRuntime is the path of an ONNX Runtime library (1.17 or newer). Where it is empty, the
	// environment variable LIVENESS_ONNXRUNTIME is asked, and without it the embedded engine is used.
	// A library that is named but cannot be loaded is [ErrInternal].
	ONNXRuntime string
	// ModelsDir is a folder with a manifest.json and the networks it names; empty takes the embedded
	// ones.
	ModelsDir string
	// MaxConcurrent is the number of checks that run at once; each keeps one core busy, and further
	// ones wait for their turn. Zero is runtime.GOMAXPROCS(0), more than 4096 is 4096.
	MaxConcurrent int
}

// An Engine checks images. It is made by [New] and ended by [Engine.Close]; all its methods may be
// called by many goroutines at once.
type Engine struct {
	handle *C.liveness_engine
	// slots holds a token for each check that runs. Close takes them all, so that nothing runs when
	// it frees the handle.
	slots   chan struct{}
	closed  chan struct{}
	close   sync.Once
	cleanup runtime.Cleanup
	// info never changes, so it is asked for once. Info then needs no slot, for which it would wait
	// behind all checks, and for ever in a log handler of the check that holds the last one.
	info Info
}

// openHandles counts handles that were not freed, for the tests.
var openHandles atomic.Int64

// mostSlots is the largest MaxConcurrent that counts.
const mostSlots = 4096

// New loads the networks, which takes some milliseconds and megabytes: make one engine and share it.
//
// It fails with [ErrBadRequest] for an invalid option and with [ErrInternal] for models or an ONNX
// Runtime that cannot be loaded; the Reason of the [*Error] says which and why.
func New(config Config) (*Engine, error) {
	if found := uint32(C.liveness_abi_version()); found != C.LIVENESS_ABI_VERSION {
		return nil, newError(C.LIVENESS_ERROR_INTERNAL, fmt.Sprintf(
			"the library has version %d of the binary interface, this program was built for %d",
			found, C.LIVENESS_ABI_VERSION))
	}
	slots := config.MaxConcurrent
	if slots < 0 {
		return nil, newError(C.LIVENESS_ERROR_BAD_REQUEST, fmt.Sprintf(
			"MaxConcurrent is %d; give the number of checks that may run at once, or 0 for the number of cores", slots))
	}
	if slots == 0 {
		slots = runtime.GOMAXPROCS(0)
	}
	// Close takes each slot, and every check keeps a thread, of which a Go program may have 10,000.
	slots = min(slots, mostSlots)
	handle, err := initialise(&config)
	if err != nil {
		return nil, err
	}
	openHandles.Add(1)
	info, err := readInfo(handle)
	if err != nil {
		free(handle)
		return nil, err
	}
	engine := &Engine{
		handle: handle,
		slots:  make(chan struct{}, slots),
		closed: make(chan struct{}),
		info:   info,
	}
	// Nobody can be inside a check of an engine that nobody can reach.
	engine.cleanup = runtime.AddCleanup(engine, free, handle)
	return engine, nil
}

func initialise(config *Config) (*C.liveness_engine, error) {
	onnxruntime, err := optionalPath("ONNXRuntime", config.ONNXRuntime)
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(onnxruntime))
	modelsDir, err := optionalPath("ModelsDir", config.ModelsDir)
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(modelsDir))
	timeLimit, err := wholeMilliseconds(config.TimeLimit)
	if err != nil {
		return nil, err
	}
	var strictQuality C.uint32_t
	if config.StrictQuality {
		strictQuality = 1
	}
	var handle *C.liveness_engine
	answer := C.bridge_init(C.float(config.Threshold), C.float(config.MaskThreshold),
		C.float(config.SecondFaceRatio), strictQuality, C.uint64_t(config.MaxFileBytes),
		C.uint64_t(config.MaxPixels), C.uint32_t(config.MaxSide), timeLimit, onnxruntime,
		modelsDir, &handle)
	return handle, answerError(&answer)
}

// wholeMilliseconds rounds up, so that no limit becomes none.
func wholeMilliseconds(limit time.Duration) (C.uint32_t, error) {
	if limit < 0 {
		return 0, newError(C.LIVENESS_ERROR_BAD_REQUEST, "TimeLimit is negative; give a positive time, or 0 for ten seconds")
	}
	// Divided first: the largest duration has no room for rounding up.
	whole := limit / time.Millisecond
	if limit%time.Millisecond != 0 {
		whole++
	}
	return C.uint32_t(min(whole, math.MaxUint32)), nil
}

// optionalPath gives null for an empty path.
func optionalPath(option, path string) (*C.char, error) {
	if path == "" {
		return nil, nil
	}
	if strings.ContainsRune(path, 0) {
		return nil, newError(C.LIVENESS_ERROR_BAD_REQUEST, option+" holds a NUL; give the path of a file")
	}
	return C.CString(path), nil
}

func free(handle *C.liveness_engine) {
	C.liveness_free(handle)
	openHandles.Add(-1)
}

// Close ends the engine: checks that run are waited for, those that wait for their turn and all
// later ones fail with [ErrClosed]. It may be called by several goroutines and more than once; each
// call returns when the engine is ended. An engine that is never closed is freed when it has become
// unreachable.
//
// The error is always nil; it is there for [io.Closer].
func (e *Engine) Close() error {
	if e == nil || e.closed == nil {
		return nil
	}
	e.close.Do(func() {
		close(e.closed)
		for range cap(e.slots) {
			e.slots <- struct{}{}
		}
		e.cleanup.Stop()
		free(e.handle)
		e.handle = nil
	})
	return nil
}

// Check says whether the person in an image file is live: JPEG, PNG, WebP, BMP, GIF (first frame) or
// TIFF. EXIF orientation is honoured; nothing has to be scaled, cropped or converted beforehand.
func (e *Engine) Check(image []byte) (Result, error) {
	return e.CheckContext(context.Background(), Encoded(image))
}

// CheckBase64 is [Engine.Check] for an image file as base64: standard or URL-safe alphabet, with or
// without padding, white space and a data:image/...;base64, prefix.
func (e *Engine) CheckBase64(text string) (Result, error) {
	return e.CheckContext(context.Background(), Base64(text))
}

// CheckFile is [Engine.Check] for an image file on disk. A file that cannot be read is
// [ErrUnreadableImage].
func (e *Engine) CheckFile(path string) (Result, error) {
	return e.CheckContext(context.Background(), File(path))
}

// CheckPixels is [Engine.Check] for decoded pixels, as a camera or a video decoder gives them. A
// layout that does not fit into its bytes is [ErrBadRequest].
func (e *Engine) CheckPixels(pixels Pixels) (Result, error) {
	return e.CheckContext(context.Background(), pixels)
}

// CheckContext checks an image in any form: [Encoded], [Base64], [File] or [Pixels]. Where the
// context ends while the check waits for its turn (see Config.MaxConcurrent), it fails with an error
// that wraps the context's error and its [context.Cause]. A check that runs is not interrupted: most
// take milliseconds, but one may take as long as Config.TimeLimit, ten seconds unless set, past the
// context's deadline. Set a shorter limit where callers have less time.
//
// Other failures are [ErrClosed] or an [*Error], which is [ErrBadRequest] for a context or an image
// that is nil; the Result is then the zero one.
func (e *Engine) CheckContext(ctx context.Context, image Image) (Result, error) {
	if mistake := missing(ctx, image); mistake != nil {
		return Result{}, mistake
	}
	if err := e.acquire(ctx); err != nil {
		return Result{}, err
	}
	defer e.release()
	var result C.liveness_result
	if err := image.check(e.handle, 0, &result).take(nil); err != nil {
		return Result{}, err
	}
	return newResult(&result), nil
}

// CheckJSON is [Engine.CheckContext] with the contract's JSON as its answer, the same bytes on every
// surface of the library. With details, it has a last member of that name with what was found; why a code is
// 005 it does not say, the error's Reason does.
//
// The JSON says success or error, so that a server can send it as it is; the error says the same to
// the program. It is nil only where no check took place: the context ended, or [ErrClosed].
func (e *Engine) CheckJSON(ctx context.Context, image Image, details bool) ([]byte, error) {
	if mistake := missing(ctx, image); mistake != nil {
		return mistake.refusalJSON(details), mistake
	}
	if err := e.acquire(ctx); err != nil {
		return nil, err
	}
	defer e.release()
	var flags C.uint32_t
	if details {
		flags = C.LIVENESS_JSON_DETAILS
	}
	var text []byte
	err := image.check(e.handle, flags, nil).take(&text)
	return text, err
}

// missing tells of what was left out, which would be a panic later on.
func missing(ctx context.Context, image Image) *Error {
	switch {
	case ctx == nil:
		return newError(C.LIVENESS_ERROR_BAD_REQUEST, "the context is nil; give context.Background() for none")
	case image == nil:
		return newError(C.LIVENESS_ERROR_BAD_REQUEST, "the image is nil; give an Encoded, Base64, File or Pixels")
	}
	return nil
}

// acquire waits for a slot.
func (e *Engine) acquire(ctx context.Context) error {
	if e.ended() {
		return ErrClosed
	}
	// A select chooses among what is ready at random, so what must not win is asked for alone.
	if ctx.Err() != nil {
		return notChecked(ctx)
	}
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		return notChecked(ctx)
	case <-e.closed:
		return ErrClosed
	}
	if e.ended() {
		e.release()
		return ErrClosed
	}
	return nil
}

// ended is also true of an engine that was not made by New.
func (e *Engine) ended() bool {
	if e == nil || e.closed == nil {
		return true
	}
	select {
	case <-e.closed:
		return true
	default:
		return false
	}
}

// release ends what acquire began. That it mentions the engine keeps the handle alive so long.
func (e *Engine) release() {
	<-e.slots
	runtime.KeepAlive(e)
}

func notChecked(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return fmt.Errorf("liveness: not checked: %w", cause)
	}
	// A cause of the caller's own does not say whether it was the time that ran out.
	return fmt.Errorf("liveness: not checked: %w: %w", err, cause)
}

// Info names what an engine computes with.
type Info struct {
	// Version is the library's, such as "0.1.0".
	Version string `json:"version"`
	// Engine is the name and version of the inference engine, such as "embedded 2".
	Engine string `json:"engine"`
	// Models is the version and digest of the models, such as "2026.11.0+1a2b3c4d".
	Models string `json:"models"`
	// Files are the networks.
	Files []ModelFile `json:"files"`
}

// ModelFile is one network.
type ModelFile struct {
	// Name is what it does: detector, mask, or the name of a liveness network.
	Name string `json:"name"`
	File string `json:"file"`
	// SHA256 is that of the file, 64 lowercase hexadecimal digits.
	SHA256 string `json:"sha256"`
}

// Info names library, inference engine and models. It never waits, so a health check and a log
// handler may call it at any time.
func (e *Engine) Info() (Info, error) {
	if e.ended() {
		return Info{}, ErrClosed
	}
	info := e.info
	info.Files = slices.Clone(info.Files)
	return info, nil
}

func readInfo(handle *C.liveness_engine) (Info, error) {
	var text []byte
	if err := (answer{c: C.bridge_info(handle)}).take(&text); err != nil {
		return Info{}, err
	}
	var info Info
	if err := json.Unmarshal(text, &info); err != nil {
		return Info{}, newError(C.LIVENESS_ERROR_INTERNAL, "the library's info is not JSON: "+err.Error())
	}
	return info, nil
}

// Version is the version of the library, such as "0.1.0".
func Version() string {
	return C.GoString(C.liveness_version())
}
