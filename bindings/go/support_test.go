package liveness

import (
	"bytes"
	"image"
	"image/draw"
	_ "image/png"
	"os"
	"path/filepath"
	"testing"
)

const root = "../.."

func portraitPath() string {
	return filepath.Join(root, "tests/fixtures/astronaut.png")
}

func portrait(t testing.TB) []byte {
	t.Helper()
	file, err := os.ReadFile(portraitPath())
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func portraitPixels(t testing.TB) Pixels {
	t.Helper()
	decoded, _, err := image.Decode(bytes.NewReader(portrait(t)))
	if err != nil {
		t.Fatal(err)
	}
	canvas := image.NewNRGBA(decoded.Bounds())
	draw.Draw(canvas, canvas.Rect, decoded, image.Point{}, draw.Src)
	return Pixels{
		Format: RGBA,
		Data:   canvas.Pix,
		Width:  canvas.Rect.Dx(),
		Height: canvas.Rect.Dy(),
		Stride: canvas.Stride,
	}
}

func newEngine(t testing.TB, config Config) *Engine {
	t.Helper()
	engine, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	return engine
}

// occupy takes all slots of an engine, as checks that run do, and gives a function that ends them.
func occupy(engine *Engine) (release func()) {
	for range cap(engine.slots) {
		engine.slots <- struct{}{}
	}
	return func() {
		for range cap(engine.slots) {
			<-engine.slots
		}
	}
}
