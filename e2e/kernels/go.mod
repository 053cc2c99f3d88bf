module sekisho/e2e/kernels

go 1.26.3
