package liveness_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"liveness.example/liveness"
)

func Example() {
	engine, err := liveness.New(liveness.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()
	result, err := engine.CheckFile("../../tests/fixtures/astronaut.png")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("live:", result.Liveness)
	// Output: live: true
}

// One check at a time, and none waits for its turn longer than a second.
func ExampleEngine_CheckContext() {
	engine, err := liveness.New(liveness.Config{MaxConcurrent: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err = engine.CheckContext(ctx, liveness.Encoded("no image"))
	var failure *liveness.Error
	switch {
	case errors.Is(err, liveness.ErrFaceCount):
		fmt.Println("show one face, please")
	case errors.As(err, &failure):
		fmt.Println(failure.Code, failure.Message)
	case errors.Is(err, context.DeadlineExceeded):
		fmt.Println("too busy")
	}
	// Output: 002 Error reading image, please check the request format.
}

func ExampleEngine_CheckJSON() {
	engine, err := liveness.New(liveness.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()
	answer, _ := engine.CheckJSON(context.Background(), liveness.Base64("bm8gaW1hZ2U="), false)
	fmt.Printf("%s\n", answer)
	// Output: {"success":false,"error_code":"002","error_message":"Error reading image, please check the request format."}
}
