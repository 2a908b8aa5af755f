package liveness

// #include "bridge.h"
import "C"

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
)

var (
	settingLogger sync.Mutex
	logger        atomic.Pointer[slog.Logger]
)

// SetLogger sends the library's log lines, of all engines of the program, to a logger; nil makes the
// library silent again, which it is at first. The library writes as much as the logger has enabled
// now: errors are 005, warnings 004, info says which engine and models are used, debug adds every
// verdict and every refused image. No line ever holds a pixel or the name of an image file.
//
// The logger is used by the goroutines that call this package: a check waits for it, and keeps its
// slot (Config.MaxConcurrent) meanwhile. So from inside it
//
//   - SetLogger must not be called: it fails with [ErrBadRequest], as it does wherever another call of
//     it is under way, in any goroutine;
//   - [Engine.Close] must not be called: it would wait for the check that waits for the logger;
//   - no image should be checked: with all slots held by checks whose loggers wait for a slot,
//     which with a MaxConcurrent of 1 is at once, none ever gets one. Where it has to be, give
//     [Engine.CheckContext] a context that ends, or take another engine;
//   - the goroutine must not be ended ([runtime.Goexit], which t.Fatal and t.FailNow of tests call):
//     no later SetLogger would return.
//
// Nor may it wait for another goroutine that does one of these. Everything else may be called,
// [Engine.Info] too. What is called from inside the logger is not logged.
//
// When SetLogger returns, the former logger is not in use any more.
func SetLogger(to *slog.Logger) error {
	// A second call cannot wait: it may come from the logger that the first one waits for.
	if !settingLogger.TryLock() {
		return newError(C.LIVENESS_ERROR_BAD_REQUEST, "another call of SetLogger is under way; call it when that has returned")
	}
	defer settingLogger.Unlock()
	former := logger.Load()
	if to != nil {
		logger.Store(to)
	}
	result := C.bridge_log(level(to))
	if err := answerError(&result); err != nil {
		logger.Store(former)
		return err
	}
	logger.Store(to)
	return nil
}

// levels from the most to the least verbose one.
var levels = []struct {
	c    C.int32_t
	slog slog.Level
}{
	{C.LIVENESS_LOG_DEBUG, slog.LevelDebug},
	{C.LIVENESS_LOG_INFO, slog.LevelInfo},
	{C.LIVENESS_LOG_WARN, slog.LevelWarn},
	{C.LIVENESS_LOG_ERROR, slog.LevelError},
}

func level(of *slog.Logger) C.int32_t {
	if of != nil {
		for _, level := range levels {
			if of.Enabled(context.Background(), level.slog) {
				return level.c
			}
		}
	}
	return C.LIVENESS_LOG_OFF
}

// livenessLog is called by the library, on the thread of a call from Go.
//
//export livenessLog
func livenessLog(level C.int32_t, message *C.char) {
	// A panic must not unwind through the frames of C and Rust that lie between here and the caller.
	// The check itself is sound, so it goes on; what a logger fails to write is lost.
	defer func() { _ = recover() }()
	to := logger.Load()
	if to == nil {
		return
	}
	for _, known := range levels {
		if known.c == level {
			to.Log(context.Background(), known.slog, C.GoString(message))
		}
	}
}
