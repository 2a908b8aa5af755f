package liveness

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"fmt"
	"strings"
	"unsafe"
)

// An Image is what can be checked: [Encoded], [Base64], [File] or [Pixels].
type Image interface {
	// check calls the library. It asks for a JSON answer where result is nil.
	check(engine *C.liveness_engine, flags C.uint32_t, result *C.liveness_result) answer
}

// Encoded is the content of a JPEG, PNG, WebP, BMP, GIF (first frame) or TIFF file.
type Encoded []byte

// Base64 is the content of such a file as base64: standard or URL-safe alphabet, with or without
// padding, white space and a data:image/...;base64, prefix.
type Base64 string

// File is the path of such a file.
type File string

// Pixels are decoded pixels, 8 bits per sample, rows from top to bottom.
type Pixels struct {
	// Format is the order and layout of the samples.
	Format PixelFormat
	// Data holds the samples; it may be longer than the layout needs, never shorter.
	Data []byte
	// Width and Height are in pixels, as stored (before Orientation is applied).
	Width, Height int
	// Stride is the number of bytes from the start of one row to the start of the next, of the first
	// plane; 0 means rows without gaps. The further planes of a YUV image follow the Height*Stride
	// bytes of the first: the interleaved chroma plane of NV12 and NV21 has a stride of Stride (one
	// more where that is odd), the two chroma planes of I420 have half of it, rounded up.
	Stride int
	// Orientation is that of EXIF, 1 to 8; 0 and 1 are upright.
	Orientation int
}

// PixelFormat is the order and layout of samples. YUV is BT.601 in full range (JFIF), as the cameras
// of phones give it; a chroma sample covers two by two pixels.
type PixelFormat int32

const (
	// RGB has three bytes per pixel: red, green, blue.
	RGB PixelFormat = C.LIVENESS_PIXELS_RGB
	// BGR has three bytes per pixel: blue, green, red.
	BGR PixelFormat = C.LIVENESS_PIXELS_BGR
	// RGBA has four bytes per pixel: red, green, blue, alpha, which is composited on white.
	// [image.NRGBA] has this layout.
	RGBA PixelFormat = C.LIVENESS_PIXELS_RGBA
	// BGRA has four bytes per pixel: blue, green, red, alpha, which is composited on white.
	BGRA PixelFormat = C.LIVENESS_PIXELS_BGRA
	// Gray has one byte per pixel. [image.Gray] has this layout. Most live people are refused without
	// colours, so give frames with theirs where there are any.
	Gray PixelFormat = C.LIVENESS_PIXELS_GRAY
	// NV12 has a plane of luma, then a plane of interleaved U and V.
	NV12 PixelFormat = C.LIVENESS_PIXELS_NV12
	// NV21 has a plane of luma, then a plane of interleaved V and U (Android's camera preview).
	NV21 PixelFormat = C.LIVENESS_PIXELS_NV21
	// I420 has a plane of luma, a plane of U, a plane of V.
	I420 PixelFormat = C.LIVENESS_PIXELS_I420
)

// nothing is what an empty input points to: for the library, null is a mistake of the caller, while
// an empty file is one that cannot be read.
var nothing byte

func (data Encoded) check(engine *C.liveness_engine, flags C.uint32_t, result *C.liveness_result) answer {
	first := &nothing
	if len(data) > 0 {
		first = unsafe.SliceData(data)
	}
	return answer{c: C.bridge_check(engine, C.BRIDGE_ENCODED, (*C.uint8_t)(unsafe.Pointer(first)), C.size_t(len(data)), flags, result)}
}

func (text Base64) check(engine *C.liveness_engine, flags C.uint32_t, result *C.liveness_result) answer {
	first := &nothing
	if len(text) > 0 {
		first = unsafe.StringData(string(text))
	}
	return answer{c: C.bridge_check(engine, C.BRIDGE_BASE64, (*C.uint8_t)(unsafe.Pointer(first)), C.size_t(len(text)), flags, result)}
}

func (path File) check(engine *C.liveness_engine, flags C.uint32_t, result *C.liveness_result) answer {
	if strings.ContainsRune(string(path), 0) {
		return refused(C.LIVENESS_ERROR_UNREADABLE_IMAGE, "the path holds a NUL, so no file can have it", flags)
	}
	text := C.CString(string(path))
	defer C.free(unsafe.Pointer(text))
	return answer{c: C.bridge_check(engine, C.BRIDGE_FILE, (*C.uint8_t)(unsafe.Pointer(text)), 0, flags, result)}
}

func (pixels Pixels) check(engine *C.liveness_engine, flags C.uint32_t, result *C.liveness_result) answer {
	for _, field := range []struct {
		name  string
		value int
		limit uint64
	}{
		{"Width", pixels.Width, 1<<32 - 1},
		{"Height", pixels.Height, 1<<32 - 1},
		{"Orientation", pixels.Orientation, 8},
		{"Stride", pixels.Stride, 1<<63 - 1},
	} {
		// A negative int must not become a large unsigned number.
		if field.value < 0 || uint64(field.value) > field.limit {
			return refused(C.LIVENESS_ERROR_BAD_REQUEST,
				fmt.Sprintf("Pixels.%s is %d; it must be from 0 to %d", field.name, field.value, field.limit), flags)
		}
	}
	first := &nothing
	if len(pixels.Data) > 0 {
		first = unsafe.SliceData(pixels.Data)
	}
	return answer{c: C.bridge_check_pixels(engine, (*C.uint8_t)(unsafe.Pointer(first)), C.size_t(len(pixels.Data)),
		C.int32_t(pixels.Format), C.uint32_t(pixels.Width), C.uint32_t(pixels.Height),
		C.size_t(pixels.Stride), C.uint32_t(pixels.Orientation), flags, result)}
}
