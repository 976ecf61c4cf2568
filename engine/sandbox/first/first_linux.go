package first

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Order is what the first process is told. Its directory, environment and streams
// it has already.
type Order struct {
	Proc   bool  // mount /proc
	Drop   []int // capabilities no process gets
	Groups int   // control groups it joins: files of theirs, from the descriptor behind Complaints

	Program string   // path of what it becomes; empty to wait for its end
	Args    []string // of it, its name first
	User    *syscall.Credential
}

// Complaints is the file descriptor where it writes what went wrong. It is closed
// when all went well.
const Complaints = 3

// Arguments returns the order as arguments of this program.
func (o Order) Arguments() []string {
	args := []string{Name, strconv.FormatBool(o.Proc), join(o.Drop), "", "", "", strconv.Itoa(o.Groups), o.Program}
	if u := o.User; u != nil {
		var groups []int
		for _, g := range u.Groups {
			groups = append(groups, int(g))
		}
		args[3], args[4], args[5] = strconv.Itoa(int(u.Uid)), strconv.Itoa(int(u.Gid)), join(groups)
	}
	return append(args, o.Args...)
}

// fixed is how many arguments stand before those of the program.
const fixed = 8

func join(numbers []int) string {
	var all []string
	for _, n := range numbers {
		all = append(all, strconv.Itoa(n))
	}
	return strings.Join(all, ",")
}

func split(text string) []int {
	var all []int
	for _, part := range strings.Split(text, ",") {
		if n, err := strconv.Atoi(part); err == nil {
			all = append(all, n)
		}
	}
	return all
}

func init() {
	if len(os.Args) < fixed || os.Args[0] != Name {
		return
	}
	syscall.CloseOnExec(Complaints)
	doing, err := follow(os.Args)
	_, _ = syscall.Write(Complaints, []byte(doing+": "+err.Error()))
	os.Exit(1)
}

// follow does what it is told. It returns what it could not do, and why.
func follow(args []string) (doing string, err error) {
	if args[1] == "true" {
		// Where some of /proc is hidden from this machine, as in a container, a
		// new one is refused, and the old one stays.
		_ = syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, "")
	}
	for _, capability := range split(args[2]) {
		_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_CAPBSET_DROP, uintptr(capability), 0)
		if errno != 0 && errno != syscall.EINVAL { // one the kernel does not know
			return "drop a capability", errno
		}
	}
	groups, _ := strconv.Atoi(args[6])
	for file := Complaints + 1; file <= Complaints+groups; file++ {
		if _, err := syscall.Write(file, []byte("0")); err != nil { // this process
			return "join a control group", err
		}
		_ = syscall.Close(file)
	}
	program := args[7]
	if program == "" {
		_ = syscall.Close(Complaints)
		wait()
	}
	if err := become(args[3], args[4], split(args[5])); err != nil {
		return "become user " + args[3], err
	}
	return "run " + args[fixed], syscall.Exec(program, args[fixed:], os.Environ())
}

func become(user, group string, groups []int) error {
	if user == "" {
		return nil
	}
	uid, _ := strconv.Atoi(user)
	gid, _ := strconv.Atoi(group)
	if err := syscall.Setgroups(groups); err != nil {
		return err
	}
	if err := syscall.Setgid(gid); err != nil {
		return err
	}
	return syscall.Setuid(uid)
}

// wait stays, and reaps those who lost their parent.
func wait() {
	for {
		if _, err := syscall.Wait4(-1, nil, 0, nil); err == syscall.ECHILD {
			time.Sleep(time.Second)
		}
	}
}
