package pgtest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// makeDir makes a temporary directory for who PostgreSQL runs as: nobody, if the test runs as root; otherwise cred is nil.
func makeDir() (dir string, cred *syscall.Credential, err error) {
	if dir, err = os.MkdirTemp("", "pgtest-"); err != nil {
		return "", nil, fmt.Errorf("make a directory for PostgreSQL: %w", err)
	}
	if os.Getuid() != 0 {
		return dir, nil, nil
	}
	who, err := user.Lookup("nobody")
	if err != nil {
		return "", nil, fmt.Errorf("PostgreSQL does not run as root, and there is no user nobody: %w", err)
	}
	uid, _ := strconv.Atoi(who.Uid)
	gid, _ := strconv.Atoi(who.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		return "", nil, fmt.Errorf("give %s to nobody: %w", dir, err)
	}
	return dir, &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

var (
	templateMu  sync.Mutex
	templateDir string
	remover     io.Closer //nolint:unused // open for as long as this process lives
)

// makeTemplate makes an empty data directory, once in a process: initdb takes longer than a copy. It is removed by a child
// that waits for this process to end, however it does.
func makeTemplate(bin string) (string, error) {
	templateMu.Lock()
	defer templateMu.Unlock()
	if templateDir != "" {
		return templateDir, nil
	}
	dir, cred, err := makeDir()
	if err != nil {
		return "", err
	}
	remove := exec.Command("/bin/sh", "-c", `cat >/dev/null; rm -rf "$1"`, "remover", dir)
	remove.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if remover, err = remove.StdinPipe(); err != nil {
		return "", err
	}
	if err := remove.Start(); err != nil {
		return "", fmt.Errorf("start the remover of %s: %w", dir, err)
	}
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(Password), 0o644); err != nil {
		return "", err
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", Superuser, "-E", "UTF8", "--locale=C",
		"--no-sync", "--pwfile="+password, "--auth=trust")
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	initdb.Dir = dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w\n%s", err, out)
	}
	templateDir = data
	return data, nil
}
