package liveness

// #include "bridge.h"
import "C"

import "time"

// A Result is the verdict on an image with exactly one bare face. The zero Result reads as not live.
// Coordinates are pixels of the upright full-resolution image; the centre of the top left pixel is
// (0, 0).
type Result struct {
	// Liveness says whether a live person is before the camera, rather than a print or a screen.
	Liveness bool
	// Score is how confident that answer is, 0..1: near 1 for a sure live person and for a sure
	// attack. It is not the probability of a live person; that is LiveProbability.
	Score float64
	// LiveProbability is the calibrated probability of a bona fide presentation, 0..1.
	LiveProbability float64
	// Threshold is the LiveProbability from which on the engine says live.
	Threshold float64
	// PrintProbability and ReplayProbability are those of a printed photo, and of a photo or video
	// on a screen, 0..1. With LiveProbability they sum to 1.
	PrintProbability  float64
	ReplayProbability float64
	// MaskProbability is that of a mask over mouth or nose, 0..1.
	MaskProbability float64
	// Face is the main face.
	Face Face
	// Faces is the number of faces that count: 1.
	Faces int
	// Quality of the image of the face, and what is wrong with it; no Reasons for a good selfie.
	Quality Quality
	Reasons []Reason
	// Timings say where the time went.
	Timings Timings
}

// Face is a face that was found.
type Face struct {
	// X, Y, Width and Height are the face box. It may reach beyond the image.
	X, Y, Width, Height float64
	// Landmarks are right eye, left eye, nose, right and left corner of the mouth; right is the
	// subject's right, which is the left side of the image.
	Landmarks [5]Point
	// Score is the confidence of the detector, 0..1.
	Score float64
}

// Point is a place in pixels of the upright image.
type Point struct {
	X, Y float64
}

// Quality is measured on the image of the face.
type Quality struct {
	// FaceSize is the height of the face box in pixels, FaceShare the same as a share of the
	// image's long side.
	FaceSize  float64
	FaceShare float64
	// Outside is the share of the face box that lies outside the image, 0..1.
	Outside float64
	// Yaw, Pitch and Roll are degrees: positive towards the subject's left, upwards, and clockwise
	// in the image plane.
	Yaw   float64
	Pitch float64
	Roll  float64
	// Brightness is the mean luma of the face, 0..1, and Contrast its standard deviation, 0..0.5.
	Brightness float64
	Contrast   float64
	// Clipped is the share of the face's pixels that are black or white, 0..1.
	Clipped float64
	// Sharpness is the variance of the Laplacian of the face scaled to a fixed size; small is blurred.
	Sharpness float64
}

// Reason says what is wrong with an image, such as "too_dark".
type Reason string

// The reasons of this version; the names are those in the details of the JSON. The first three and
// the last are of an [Error] only, the others are about quality.
const (
	NoFace       Reason = "no_face"
	SeveralFaces Reason = "several_faces"
	FaceMask     Reason = "face_mask"
	FaceTooSmall Reason = "face_too_small"
	FaceCutOff   Reason = "face_cut_off"
	HeadTurned   Reason = "head_turned"
	HeadNodded   Reason = "head_nodded"
	HeadTilted   Reason = "head_tilted"
	TooDark      Reason = "too_dark"
	TooBright    Reason = "too_bright"
	LowContrast  Reason = "low_contrast"
	Clipped      Reason = "clipped"
	Blurred      Reason = "blurred"
	// NotUpright comes with NoFace: there is a face in the picture turned by a quarter, or upside down. The
	// text of the error tells which way to turn it.
	NotUpright Reason = "not_upright"
)

// Timings are what the stages of a check took.
type Timings struct {
	// Decode is reading, decoding and turning upright.
	Decode time.Duration
	// Detect is finding faces.
	Detect time.Duration
	// Mask is looking for a mask and measuring the quality.
	Mask time.Duration
	// Spoof is telling live from attack.
	Spoof time.Duration
	// Total is all of it.
	Total time.Duration
}

func newResult(c *C.liveness_result) Result {
	result := Result{
		Liveness:          c.liveness == 1,
		Score:             float64(c.score),
		LiveProbability:   float64(c.live_probability),
		Threshold:         float64(c.threshold),
		PrintProbability:  float64(c.print_probability),
		ReplayProbability: float64(c.replay_probability),
		MaskProbability:   float64(c.mask_probability),
		Face: Face{
			X:      float64(c.face_x),
			Y:      float64(c.face_y),
			Width:  float64(c.face_width),
			Height: float64(c.face_height),
			Score:  float64(c.face_score),
		},
		Faces: int(c.faces),
		Quality: Quality{
			FaceSize:   float64(c.quality_face_size),
			FaceShare:  float64(c.quality_face_share),
			Outside:    float64(c.quality_outside),
			Yaw:        float64(c.quality_yaw),
			Pitch:      float64(c.quality_pitch),
			Roll:       float64(c.quality_roll),
			Brightness: float64(c.quality_brightness),
			Contrast:   float64(c.quality_contrast),
			Clipped:    float64(c.quality_clipped),
			Sharpness:  float64(c.quality_sharpness),
		},
		Reasons: reasons(uint64(c.reasons)),
		Timings: Timings{
			Decode: milliseconds(c.decode_ms),
			Detect: milliseconds(c.detect_ms),
			Mask:   milliseconds(c.mask_ms),
			Spoof:  milliseconds(c.spoof_ms),
			Total:  milliseconds(c.total_ms),
		},
	}
	for i, point := range c.landmarks {
		result.Face.Landmarks[i] = Point{X: float64(point.x), Y: float64(point.y)}
	}
	return result
}

// reasons names the bits that are set. A library that is newer than this package may know more of
// them than the constants here.
func reasons(bits uint64) []Reason {
	var names []Reason
	for ; bits != 0; bits &= bits - 1 {
		lowest := bits & -bits
		if name := C.GoString(C.liveness_reason_name(C.uint64_t(lowest))); name != "" {
			names = append(names, Reason(name))
		}
	}
	return names
}

func milliseconds(value C.float) time.Duration {
	return time.Duration(float64(value) * float64(time.Millisecond))
}
