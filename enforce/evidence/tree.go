package evidence

import (
	"cmp"
	"slices"

	"sekisho"
)

// Node is a process with what it did and the processes that it made.
type Node struct {
	*sekisho.Process
	Events   []*sekisho.Event // what it did, in order, without its own exec and exit
	Children []*Node
}

// Tree puts events in the order of who made whom. A process whose parent the
// events do not know is a root.
func Tree(events []*sekisho.Event) []*Node {
	nodes := map[uint64]*Node{}
	byPID := map[int]*Node{} // the latest with a pid
	var order []*Node
	for _, e := range events {
		if e.Process == nil {
			continue
		}
		n := nodes[e.Process.ID]
		if n == nil {
			n = &Node{Process: e.Process}
			nodes[e.Process.ID] = n
			order = append(order, n)
		}
		byPID[e.Process.PID] = n
		switch e.Kind {
		case sekisho.EventExit:
			n.Process.Ended = cmp.Or(n.Process.Ended, e.Time)
		case sekisho.EventExec, sekisho.EventFork:
		default:
			n.Events = append(n.Events, e)
		}
	}
	var roots []*Node
	for _, n := range order {
		parent := nodes[n.ParentID]
		if parent == nil {
			parent = byPID[n.ParentPID]
		}
		if parent == nil || parent == n || below(parent, n) {
			roots = append(roots, n)
			continue
		}
		parent.Children = append(parent.Children, n)
	}
	return roots
}

// below reports whether n is below the other already: events of a hostile or
// reused pid must not make a ring.
func below(n, top *Node) bool {
	return slices.ContainsFunc(top.Children, func(c *Node) bool { return c == n || below(n, c) })
}
