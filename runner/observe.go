package runner

import (
	"path"

	"github.com/buildlocal/buildlocal/engine"
)

// maxOpened limits the names that are recorded of one phase.
const maxOpened = 50_000

// observer records which files of the primary source each phase opens. The zero value records nothing.
type observer struct {
	began bool
	next  func() engine.Opened // nil if nothing is recorded
	stop  func()
	files map[string]bool // of the source
	dirs  map[string]bool // that have files of the source
}

// observe begins to record the files that a phase opens, if the caller wants that and the engine can do
// it. Nothing that depends on the record needs it, so an engine that cannot is no error.
func (b *build) observe() {
	if !b.Observe || b.SourceFiles == nil || len(b.plan.Sources) == 0 {
		return
	}
	o := &b.observer
	if able, can := b.container.(engine.Observer); can && !o.began {
		o.began = true
		if next, stop, err := able.Observe(b.plan.Sources[0].Path); err == nil {
			names, _ := b.SourceFiles()
			o.next, o.stop = next, stop
			o.learn(names)
		}
	}
	if o.next != nil {
		_ = o.next() // opened by steps between the phases
	}
}

// learn takes the names of the files of the source. Others, such as packages that the build installs
// there, are not recorded.
func (o *observer) learn(names []string) {
	o.files, o.dirs = make(map[string]bool, len(names)), map[string]bool{".": true}
	for _, name := range names {
		o.files[name] = true
		for dir := path.Dir(name); !o.dirs[dir]; dir = path.Dir(dir) {
			o.dirs[dir] = true
		}
	}
}

// opened returns the files that were opened since observe was called; nil if nothing is recorded.
func (o *observer) opened() *engine.Opened {
	if o.next == nil {
		return nil
	}
	all, found := o.next(), &engine.Opened{}
	for _, name := range all.Files {
		if o.files[name] {
			found.Files = append(found.Files, name)
		}
	}
	for _, name := range all.Dirs {
		if o.dirs[name] {
			found.Dirs = append(found.Dirs, name)
		}
	}
	if len(found.Files)+len(found.Dirs) > maxOpened {
		return nil
	}
	return found
}

// end ends the record.
func (o *observer) end() {
	if o.stop != nil {
		o.stop()
		o.next, o.stop = nil, nil
	}
}
