package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace replaces the contents of the existing file name. The mode and the owner stay,
// and a symbolic link stays a link: the file that it leads to is replaced. After a power failure
// the file has the old contents or the new ones.
func Replace(name string, text []byte) error {
	target, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	// A rename is atomic only within a file system, so the new file is created beside the old.
	next, err := os.CreateTemp(filepath.Dir(target), ".buildlocal-*")
	if err != nil {
		return err
	}
	_, err = next.Write(text)
	err = errors.Join(err, next.Chmod(info.Mode().Perm()), keepOwner(next, info))
	// Some file systems write the new name to the disk before the contents. The directory is not
	// synchronized: if the rename is lost, the old file is there and complete.
	err = errors.Join(err, next.Sync(), next.Close())
	if err == nil {
		err = os.Rename(next.Name(), target)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next.Name()))
	}
	return nil
}
