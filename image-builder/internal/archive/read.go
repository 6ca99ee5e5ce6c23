// Package archive reads a tar stream into a tree. It reads the stream to its end and refuses a damaged or truncated archive,
// or one with data after its end, so that no image is ever incomplete.
package archive

import (
	"archive/tar"
	"bufio"
	"errors"
	"io"
	"strings"

	"image-builder/internal/refusal"
	"image-builder/internal/spool"
	"image-builder/internal/tree"
)

// Limits bound one archive.
type Limits struct {
	// Limit of the stream's bytes, and of the files' bytes including holes. Each entry counts EntryBytes more.
	Bytes   int64
	Entries int
}

// EntryBytes is the size that an entry adds to its content: inode, name, and the unused rest of its last block.
const EntryBytes = 8192

// Limit of names, link targets and attributes, which are kept in memory. A desktop system has about 30 MiB of them.
const metadataBytesMax = 256 << 20

const (
	bufferBytes   = 1 << 20
	whiteout      = ".wh."
	notTar        = "this does not look like a tar archive"
	dataBehindEnd = "the archive has data after its end"
)

type reader struct {
	input         *input
	tar           *tar.Reader
	spool         *spool.Spool
	tree          *tree.Tree
	limits        Limits
	programs      programs
	entries       int
	fileBytes     int64
	metadataBytes int64
}

// Read adds all entries of a stream to the tree and stores file contents in the spool.
func Read(stream io.Reader, into *tree.Tree, contents *spool.Spool, limits Limits) error {
	r := &reader{tree: into, spool: contents, limits: limits}
	r.input = &input{stream: bufio.NewReaderSize(stream, bufferBytes), over: r.checkBytes}
	// Hide that input can seek, so that the tar reader reads every byte.
	r.tar = tar.NewReader(r.input)
	for {
		before := r.input.bytes
		header, err := r.tar.Next()
		if err == io.EOF {
			if err := r.end(before); err != nil {
				return err
			}
			return r.programs.check()
		}
		if err != nil {
			return r.explained(err)
		}
		if err := r.add(header); err != nil {
			return err
		}
		if r.nodes() > r.limits.Entries {
			return &refusal.Refusal{Code: refusal.TooMany, Message: "the archive has too many entries"}
		}
	}
}

// end checks the end of the archive that the tar reader found. The content of the last entry ended at `before`.
func (r *reader) end(before int64) error {
	switch {
	case r.input.bytes == 0:
		return refusal.New("the archive is empty")
	case r.input.bytes-before < endBytes || !isZero(r.input.last[:]):
		return cutOff()
	}
	rest := make([]byte, bufferBytes)
	for {
		n, err := r.input.Read(rest)
		if !isZero(rest[:n]) {
			return refusal.New(dataBehindEnd).
				WithHint("Join archives with `tar --concatenate`, or import them one by one.")
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func cutOff() error {
	return refusal.New("the archive is cut off").WithHint("Send it whole: a tar archive ends with two blocks of zeros.")
}

func (r *reader) explained(err error) error {
	var refused *refusal.Refusal
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, io.ErrUnexpectedEOF):
		if r.entries == 0 && r.input.bytes < headerBytes {
			return refusal.New(notTar)
		}
		return cutOff()
	case errors.Is(err, tar.ErrHeader) && r.entries == 0:
		return refusal.New(notTar)
	case strings.HasPrefix(err.Error(), "archive/tar: "):
		return refusal.New("the archive is damaged after %d entries", r.entries)
	}
	return err
}

func (r *reader) add(header *tar.Header) error {
	if header.Typeflag == tar.TypeXGlobalHeader || header.Typeflag == volumeLabel {
		return nil
	}
	r.entries++
	if err := r.checkMetadata(header); err != nil {
		return err
	}
	if header.Typeflag == tar.TypeLink {
		return r.tree.Link(header.Name, header.Linkname)
	}
	node, err := describe(header)
	if err != nil {
		return err
	}
	if node.Kind == tree.File {
		if err := r.keep(header, node); err != nil {
			return err
		}
	}
	return r.tree.Add(header.Name, node)
}

func (r *reader) keep(header *tar.Header, node *tree.Node) error {
	if header.Size < 0 || header.Size > r.limits.Bytes-r.fileBytes {
		return tooLarge()
	}
	r.fileBytes += header.Size
	content, head, size, err := r.spool.Keep(r.tar)
	if err != nil {
		return r.explained(err)
	}
	if size != header.Size {
		return cutOff()
	}
	node.Content, node.Size = content, size
	if node.Mode&0o111 != 0 {
		r.programs.see(head)
	}
	return nil
}

// nodes counts the entries and the directories that only their paths name.
func (r *reader) nodes() int { return r.entries + r.tree.Implied }

func (r *reader) checkBytes(bytes int64) error {
	if bytes+int64(r.nodes())*EntryBytes > r.limits.Bytes {
		return tooLarge()
	}
	return nil
}

func tooLarge() error {
	return &refusal.Refusal{Code: refusal.TooLarge, Message: "the root file system is too large"}
}

func (r *reader) checkMetadata(header *tar.Header) error {
	r.metadataBytes += int64(len(header.Name) + len(header.Linkname))
	for name, value := range header.PAXRecords {
		if strings.HasPrefix(name, attributePrefix) || strings.HasPrefix(name, aclPrefix) {
			r.metadataBytes += int64(len(name) + len(value))
		}
	}
	if r.metadataBytes > metadataBytesMax {
		return refusal.New("names, links and extended attributes of the archive take more than %d MiB", metadataBytesMax>>20)
	}
	base := header.Name[strings.LastIndexByte(header.Name, '/')+1:]
	if strings.HasPrefix(base, whiteout) {
		return refusal.New("the archive is one layer of a container image: %s says that a file of another layer is deleted", refusal.Quote(header.Name)).
			WithHint("Make a container of the whole image and send what `docker export` prints.")
	}
	return nil
}
