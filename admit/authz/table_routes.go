package authz

// routes are the endpoints of the Docker engine's API up to 1.56, and those
// that older versions had. The first that fits counts; the longer ones stand
// before those that take any name.
func routes() []route {
	return []route{
		{"GET", "_ping", "", false, Read, ""}, {"HEAD", "_ping", "", false, Read, ""},
		{"GET", "version", "", false, Read, ""}, {"GET", "info", "", false, Read, ""}, {"GET", "events", "", false, Read, ""},
		{"GET", "system", "df", false, Read, ""}, {"POST", "auth", "", false, System, ""},
		{"GET", "distribution", "json", true, Read, ""},

		{"GET", "containers", "json", false, Read, ""}, {"GET", "containers", "ps", false, Read, ""},
		{"POST", "containers", "create", false, Run, wantsCreate}, {"POST", "containers", "prune", false, Remove, ""},
		{"GET", "containers", "json", true, Read, ""}, {"GET", "containers", "top", true, Logs, ""}, {"GET", "containers", "logs", true, Logs, wantsName},
		{"GET", "containers", "stats", true, Read, ""}, {"GET", "containers", "changes", true, Logs, wantsName}, {"GET", "containers", "export", true, Export, wantsName},
		{"GET", "containers", "archive", true, Copy, wantsName}, {"HEAD", "containers", "archive", true, Copy, wantsName}, {"PUT", "containers", "archive", true, Copy, wantsName},
		{"POST", "containers", "copy", true, Copy, wantsName},
		{"POST", "containers", "start", true, Run, wantsStart}, {"POST", "containers", "restart", true, Run, wantsStart},
		{"POST", "containers", "stop", true, Control, wantsName}, {"POST", "containers", "kill", true, Control, wantsName},
		{"POST", "containers", "pause", true, Control, wantsName}, {"POST", "containers", "unpause", true, Control, wantsName},
		{"POST", "containers", "rename", true, Control, wantsName}, {"POST", "containers", "wait", true, Control, ""}, {"POST", "containers", "resize", true, Control, ""},
		{"POST", "containers", "attach", true, Attach, wantsName}, {"GET", "containers", "attach/ws", true, Attach, wantsName},
		{"POST", "containers", "exec", true, Exec, wantsExec},
		{"POST", "containers", "update", true, Update, wantsUpdate},
		{"GET", "containers", "checkpoints", true, Checkpoint, ""}, {"POST", "containers", "checkpoints", true, Checkpoint, ""},
		{"DELETE", "containers", "", true, Remove, ""},

		{"GET", "exec", "json", true, Read, ""}, {"POST", "exec", "start", true, Exec, wantsProcess}, {"POST", "exec", "resize", true, Control, ""},

		{"GET", "images", "json", false, Read, ""}, {"GET", "images", "search", false, Read, ""}, {"GET", "images", "get", false, Save, ""},
		{"GET", "images", "json", true, Read, ""}, {"GET", "images", "history", true, Read, ""}, {"GET", "images", "attestations", true, Read, ""}, {"GET", "images", "get", true, Save, ""},
		{"POST", "images", "create", false, Pull, ""}, {"POST", "images", "load", false, Import, ""}, {"POST", "images", "prune", false, Remove, ""},
		{"POST", "images", "push", true, Push, ""}, {"POST", "images", "tag", true, Tag, ""}, {"DELETE", "images", "", true, Remove, ""},
		{"POST", "commit", "", false, Commit, ""},
		{"POST", "build", "", false, Build, ""}, {"POST", "build", "prune", false, Remove, ""}, {"POST", "build", "cancel", false, Build, ""},
		{"POST", "session", "", false, Build, ""}, {"POST", "grpc", "", false, Build, ""},

		{"GET", "networks", "", false, Read, ""}, {"GET", "networks", "", true, Read, ""},
		{"POST", "networks", "create", false, Network, ""}, {"POST", "networks", "prune", false, Remove, ""},
		{"POST", "networks", "connect", true, Network, ""}, {"POST", "networks", "disconnect", true, Network, ""}, {"DELETE", "networks", "", true, Remove, ""},

		{"GET", "volumes", "", false, Read, ""}, {"GET", "volumes", "", true, Read, ""},
		{"POST", "volumes", "create", false, Volume, wantsVolume}, {"POST", "volumes", "prune", false, Remove, ""},
		{"PUT", "volumes", "", true, Swarm, ""}, {"DELETE", "volumes", "", true, Remove, ""},

		{"*", "swarm", "*", false, Swarm, ""}, {"*", "swarm", "", false, Swarm, ""},
		{"*", "services", "*", false, Swarm, ""}, {"*", "tasks", "*", false, Swarm, ""}, {"*", "nodes", "*", false, Swarm, ""},
		{"*", "secrets", "*", false, Swarm, ""}, {"*", "configs", "*", false, Swarm, ""},
		{"GET", "plugins", "", false, Read, ""}, {"*", "plugins", "*", false, Plugin, ""},
	}
}
