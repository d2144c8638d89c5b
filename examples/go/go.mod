module herald-examples

go 1.19
