package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	berrors "go.etcd.io/bbolt/errors"

	"counterpart/protocol"
)

// Why a file is refused. Each comes wrapped in a *protocol.Error, and the file
// is left as it was.
var (
	// ErrLocked says that another process has the file open.
	ErrLocked = errors.New("bolt: the file is in use")
	// ErrCorrupt says that the file is damaged.
	ErrCorrupt = errors.New("bolt: the file is damaged")
	// ErrForeign says that the file is not one of ours, or not of this kind or owner.
	ErrForeign = errors.New("bolt: the file is not ours")
	// ErrNewer says that a newer release has written the file.
	ErrNewer = errors.New("bolt: the file has a newer format")
	// ErrUnwritable says that the disk or the folder does not let us write.
	ErrUnwritable = errors.New("bolt: the file may not be written")
	// ErrFull says that there is no room for a change, or for a new file.
	ErrFull = errors.New("bolt: the disk is full")
)

// ErrClosed is returned by every call after Close.
var ErrClosed = errors.New("bolt: the store is closed")

// errTxEnded is returned when a Reader or Tx is used after its function ended.
var errTxEnded = errors.New("bolt: the transaction has ended")

func locked(path string) error {
	return &protocol.Error{
		Code: protocol.Conflict,
		Message: fmt.Sprintf("Another process has the data file %s open. Nothing was changed. "+
			"Stop the other one, or let it go on and do not start a second.", path),
		Err: ErrLocked,
	}
}

func corrupt(path string, cause error) error {
	return &protocol.Error{
		Code: protocol.Internal,
		Message: fmt.Sprintf("The data file %s is damaged. It was left as it is, and what was sent before is safe elsewhere. "+
			"Keep the file, put a backup in its place or start with an empty one, and call support.", path),
		Err: fmt.Errorf("%w: %w", ErrCorrupt, cause),
	}
}

func foreign(path string, cause error) error {
	return &protocol.Error{
		Code: protocol.Conflict,
		Message: fmt.Sprintf("The file %s is not a data file that this program may use: %v. It was left as it is. "+
			"Correct the path in the configuration, or move the file away.", path, cause),
		Err: fmt.Errorf("%w: %w", ErrForeign, cause),
	}
}

func newer(path string, cause error) error {
	return &protocol.Error{
		Code: protocol.Conflict,
		Message: fmt.Sprintf("The data file %s was written by a newer release. It was left as it is and nothing is lost. "+
			"Install that release again.", path),
		Err: fmt.Errorf("%w: %w", ErrNewer, cause),
	}
}

func diskFull(path string, cause error) error {
	return &protocol.Error{
		Code: protocol.DiskFull,
		Message: fmt.Sprintf("There is no room left for the data file %s. This change was not recorded; all before it is safe. "+
			"Free disk space or raise the size limit, then try again.", path),
		Err: fmt.Errorf("%w: %w", ErrFull, cause),
	}
}

func broken(path string, cause error) error {
	return &protocol.Error{
		Code: protocol.Internal,
		Message: fmt.Sprintf("The disk refused to store the data file %s. What was confirmed before is safe; "+
			"it is not known whether the last change was stored. Restart the program; if it stays, replace the disk.", path),
		Err: cause,
	}
}

func unopened(path string, cause error) error {
	if isDiskFull(cause) {
		return diskFull(path, cause)
	}
	if isUnwritable(cause) {
		return &protocol.Error{
			Code: protocol.Internal,
			Message: fmt.Sprintf("The data file %s cannot be written: its disk is read-only, or this program may not write there. Nothing was changed. "+
				"Look at the system's messages about the disk and at the rights of the folder, then start again.", path),
			Err: fmt.Errorf("%w: %w", ErrUnwritable, cause),
		}
	}
	return &protocol.Error{
		Code: protocol.Internal,
		Message: fmt.Sprintf("The data file %s cannot be opened. Nothing was changed. "+
			"Check that its folder exists and that this program may write there, then start again.", path),
		Err: cause,
	}
}

// isDiskFull tells a refused write, after which bbolt goes on, from a failed
// sync, after which nobody knows what the disk holds. Only a write or a resize
// counts: an fsync that reports a full disk has lost pages already. bbolt does
// not wrap the error of a resize, so its text is what there is.
func isDiskFull(err error) bool {
	if errors.Is(err, berrors.ErrMaxSizeReached) {
		return true
	}
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Op != "sync" && noSpace(path.Err)
	}
	return strings.HasPrefix(err.Error(), "file resize error:") && strings.Contains(err.Error(), syscall.ENOSPC.Error())
}

func isUnwritable(err error) bool {
	const windowsWriteProtect = syscall.Errno(19)
	if isWindows {
		return errors.Is(err, fs.ErrPermission) || errors.Is(err, windowsWriteProtect)
	}
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

func noSpace(err error) bool {
	const windowsDiskFull, windowsHandleDiskFull = syscall.Errno(112), syscall.Errno(39)
	if isWindows {
		return errors.Is(err, windowsDiskFull) || errors.Is(err, windowsHandleDiskFull)
	}
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// recovered makes an error of a panic inside bbolt, which is how bbolt reports
// a page that cannot be.
func recovered(reason any) error {
	if err, ok := reason.(error); ok {
		return fmt.Errorf("bbolt stopped: %w", err)
	}
	return fmt.Errorf("bbolt stopped: %v", reason)
}

// isFault reports whether a panic is an access to memory that is not there,
// which for mapped values means a page that the disk does not give.
func isFault(reason any) bool {
	_, ok := reason.(interface {
		error
		Addr() uintptr
	})
	return ok
}
