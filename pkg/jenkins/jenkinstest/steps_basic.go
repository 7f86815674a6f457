package jenkinstest

func stepEcho(r *runner, c *call, fr frame) (err error) {
	a := args(c, "message")
	message := required[string](a, "message")
	if err := firstErr(a.done(), noBody(c)); err != nil {
		return err
	}
	n := r.leaf(c, fr, message)
	defer r.b.closeNode(n, &err)
	r.b.printlnFor(n, message)
	return nil
}

func stepError(r *runner, c *call, fr frame) (err error) {
	a := args(c, "message")
	message := required[string](a, "message")
	if err := firstErr(a.done(), noBody(c)); err != nil {
		return err
	}
	n := r.leaf(c, fr, message)
	defer r.b.closeNode(n, &err)
	return abort("%s", message)
}

func firstErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
