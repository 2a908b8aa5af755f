module liveness.example/liveness

go 1.25
