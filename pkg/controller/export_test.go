package controller

// Leaving is how many finished executions that are being deleted are kept in mind.
func (c *Controllers) Leaving() int {
	c.executions.mu.Lock()
	defer c.executions.mu.Unlock()
	return len(c.executions.leaving)
}
