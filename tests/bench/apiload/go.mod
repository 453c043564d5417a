module kubelab.test/apiload

go 1.24
