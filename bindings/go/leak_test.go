package liveness

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// residentBytes is what the process has in memory; what C and Rust allocate counts, too.
func residentBytes(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("there is no /proc to read the size of the process from: leaks are NOT tested")
	}
	var size, resident int
	if _, err := fmt.Fscan(strings.NewReader(string(text)), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * os.Getpagesize()
}

func TestUnreachableEnginesAreFreed(t *testing.T) {
	before := openHandles.Load()
	for range 3 {
		if _, err := New(Config{}); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		runtime.GC()
		if openHandles.Load() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d handles are left", openHandles.Load()-before)
}

func TestMemoryDoesNotGrow(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	engine := newEngine(t, Config{})
	large := make([]byte, 1<<20)
	long := "/nonexistent" + strings.Repeat("/x", 8<<10)
	round := func() {
		for range 500 {
			// Reasons are allocated by C; that of a folder has the length of its path, 16 KiB. JSON that is
			// lost is too short to show here: AddressSanitizer finds it (.ci/go.sh).
			_, _ = engine.CheckJSON(t.Context(), Encoded(large[:10]), true)
			_, _ = New(Config{ModelsDir: long})
			_, _ = engine.CheckPixels(Pixels{Format: 99, Data: large})
		}
		for range 3 {
			one, err := New(Config{})
			if err != nil {
				t.Fatal(err)
			}
			_, _ = one.CheckFile(portraitPath())
			_ = one.Close()
		}
		runtime.GC()
	}
	round()
	round()
	before := residentBytes(t)
	for range 4 {
		round()
	}
	// 2000 reasons that are lost would be 32 MiB, and so would be a few handles.
	if grown := residentBytes(t) - before; grown > 16<<20 {
		t.Errorf("the process has grown by %d KiB", grown>>10)
	}
}
