package liveness

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"
)

// request is a case of tests/conformance/cases.json; the README beside it describes the members.
type request struct {
	Name     string
	Send     string
	Input    string
	Details  bool
	Config   map[string]any
	Pixels   *layout
	Surfaces []string
}

type layout struct {
	Format                             string
	Width, Height, Stride, Orientation int
}

type reference struct {
	Name    string
	Outcome string
	JSON    string `json:"json"`
}

var timings = regexp.MustCompile(`,"timings_ms":\{[^}]*\}`)

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// referenceName is that of the reference's files: ONNX Runtime rounds otherwise than the embedded engine.
func referenceName() string {
	if os.Getenv("LIVENESS_ONNXRUNTIME") != "" {
		return "expected-onnxruntime"
	}
	return "expected"
}

// conformanceFolder is where `cargo test --test conformance` has written inputs and reference.
func conformanceFolder(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(root, "target/conformance")
	if _, err := os.Stat(filepath.Join(folder, referenceName()+".jsonl")); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no reference: run `cargo test --test conformance` first")
		}
		t.Skip("there is no reference, so the conformance is NOT tested: run `cargo test --test conformance` first")
	}
	return folder
}

func readReference(t *testing.T, folder string) map[string]reference {
	t.Helper()
	file, err := os.Open(filepath.Join(folder, referenceName()+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	answers := map[string]reference{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var answer reference
		if err := json.Unmarshal(lines.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		answers[answer.Name] = answer
	}
	return answers
}

func configOf(t *testing.T, options map[string]any) Config {
	t.Helper()
	var config Config
	for name, value := range options {
		switch name {
		case "threshold":
			config.Threshold = float32(value.(float64))
		case "mask_threshold":
			config.MaskThreshold = float32(value.(float64))
		case "second_face_ratio":
			config.SecondFaceRatio = float32(value.(float64))
		case "strict_quality":
			config.StrictQuality = value.(bool)
		case "max_file_bytes":
			config.MaxFileBytes = uint64(value.(float64))
		case "max_pixels":
			config.MaxPixels = uint64(value.(float64))
		case "max_side":
			config.MaxSide = uint32(value.(float64))
		case "time_limit_ms":
			config.TimeLimit = time.Duration(value.(float64)) * time.Millisecond
		default:
			t.Fatalf("%s is no option", name)
		}
	}
	return config
}

var formats = map[string]PixelFormat{
	"rgb": RGB, "bgr": BGR, "rgba": RGBA, "bgra": BGRA, "gray": Gray, "nv12": NV12, "nv21": NV21, "i420": I420,
}

func imageOf(t *testing.T, request request, path string) Image {
	t.Helper()
	if request.Send == "path" {
		return File(path)
	}
	input, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	switch request.Send {
	case "encoded":
		return Encoded(input)
	case "base64":
		return Base64(input)
	case "pixels":
		format, known := formats[request.Pixels.Format]
		if !known {
			t.Fatalf("%s is no pixel format", request.Pixels.Format)
		}
		return Pixels{format, input, request.Pixels.Width, request.Pixels.Height, request.Pixels.Stride, request.Pixels.Orientation}
	}
	t.Fatalf("%s: %s cannot be sent from Go", request.Name, request.Send)
	return nil
}

func outcome(result Result, err error) string {
	var typed *Error
	switch {
	case errors.As(err, &typed):
		return typed.Code
	case err != nil:
		return err.Error()
	case result.Liveness:
		return "live"
	}
	return "attack"
}

func TestConformance(t *testing.T) {
	var table struct {
		Surfaces map[string][]string
		Cases    []request
	}
	readJSON(t, filepath.Join(root, "tests/conformance/cases.json"), &table)
	folder := conformanceFolder(t)
	expected := readReference(t, folder)
	engines := map[string]*Engine{}
	count := 0
	for _, request := range table.Cases {
		surfaces := request.Surfaces
		if surfaces == nil {
			surfaces = table.Surfaces[request.Send]
		}
		if !slices.Contains(surfaces, "go") {
			continue
		}
		count++
		config := configOf(t, request.Config)
		key, err := json.Marshal(request.Config)
		if err != nil {
			t.Fatal(err)
		}
		engine := engines[string(key)]
		if engine == nil {
			engine = newEngine(t, config)
			engines[string(key)] = engine
			demandSameModels(t, engine, folder)
		}
		t.Run(request.Name, func(t *testing.T) {
			image := imageOf(t, request, filepath.Join(folder, "inputs", request.Input))
			want := expected[request.Name]
			text, err := engine.CheckJSON(t.Context(), image, request.Details)
			if got := string(timings.ReplaceAll(text, nil)); got != want.JSON {
				t.Errorf("JSON:\n%s\n%s", got, want.JSON)
			}
			if code := outcome(Result{}, err); err != nil && code != want.Outcome {
				t.Errorf("%v instead of %s", err, want.Outcome)
			}
			if got := outcome(engine.CheckContext(t.Context(), image)); got != want.Outcome {
				t.Errorf("%s instead of %s", got, want.Outcome)
			}
		})
	}
	if count == 0 {
		t.Error("no case is for Go")
	}
	t.Logf("go: %d answers compared", count)
}

func demandSameModels(t *testing.T, engine *Engine, folder string) {
	t.Helper()
	var about struct{ Engine, Models string }
	readJSON(t, filepath.Join(folder, referenceName()+".about.json"), &about)
	info, err := engine.Info()
	if err != nil {
		t.Fatal(err)
	}
	if info.Models != about.Models || info.Engine != about.Engine {
		t.Fatalf("the library has models %s and engine %s, the reference %s and %s: build both again",
			info.Models, info.Engine, about.Models, about.Engine)
	}
}
