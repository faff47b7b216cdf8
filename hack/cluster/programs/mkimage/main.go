// Mkimage writes a container image from local files, as the archive that
// `docker load`, `kind load image-archive` and `ctr images import` accept. It
// needs no container engine, no registry and no base image, and the same files
// give the same bytes: times are zero, owners are root, order is by name.
//
//	mkimage -o OUT.tar -t NAME:TAG [-e WORD]... [-c WORD]... [-env K=V]... [-u UID] [-stop SIGNAL] [-w DIR]... SOURCE:DESTINATION...
//
// SOURCE is a file, or a directory that is copied with what is below it;
// symbolic links below a directory stay links. Of a file's mode only "may be
// executed" is kept.
package main

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

type words []string

func (w *words) String() string     { return strings.Join(*w, ",") }
func (w *words) Set(s string) error { *w = append(*w, s); return nil }

func main() {
	var tags, writable words
	config := v1.Config{Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}
	out := flag.String("o", "image.tar", "archive to write")
	arch := flag.String("arch", runtime.GOARCH, "architecture of the files")
	flag.Var(&tags, "t", "tag; may be repeated")
	flag.StringVar(&config.User, "u", "", "user to run as")
	flag.StringVar(&config.StopSignal, "stop", "", "signal that ends the program kindly; default SIGTERM")
	flag.Var(&writable, "w", "directory that any user may write to, as /tmp is; may be repeated")
	flag.Var((*words)(&config.Entrypoint), "e", "word of the entrypoint; may be repeated")
	flag.Var((*words)(&config.Cmd), "c", "word of the default arguments; may be repeated")
	flag.Var((*words)(&config.Env), "env", "K=V; may be repeated, the last one counts")
	flag.Parse()
	if err := run(*out, *arch, tags, writable, config, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

func run(out, arch string, tags, writable []string, config v1.Config, files []string) error {
	content, err := pack(writable, files)
	if err != nil {
		return err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}, tarball.WithCompressionLevel(1))
	if err != nil {
		return err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", arch, config
	if image, err = mutate.ConfigFile(image, file); err != nil {
		return err
	}
	refs := map[name.Tag]v1.Image{}
	for _, t := range tags {
		tag, err := name.NewTag(t)
		if err != nil {
			return err
		}
		refs[tag] = image
	}
	return tarball.MultiWriteToFile(out, refs)
}

// pack returns the layer's content as an uncompressed tar.
func pack(writable, files []string) ([]byte, error) {
	var buf bytes.Buffer
	l := layer{tar: tar.NewWriter(&buf), dirs: map[string]bool{}}
	for _, d := range writable {
		if err := l.dir(strings.Trim(d, "/"), 0o1777); err != nil {
			return nil, err
		}
	}
	for _, f := range files {
		src, dst, ok := strings.Cut(f, ":")
		if !ok {
			return nil, fmt.Errorf("%q: want SOURCE:DESTINATION", f)
		}
		if err := l.add(src, strings.TrimPrefix(filepath.Clean(dst), "/")); err != nil {
			return nil, err
		}
	}
	if err := l.tar.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

type layer struct {
	tar  *tar.Writer
	dirs map[string]bool // directories written so far
}

func (l layer) add(src, dst string) error {
	src, err := filepath.EvalSymlinks(src) // only links below a directory are kept
	if err != nil {
		return err
	}
	return filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dst, below)
		if d.IsDir() {
			return l.dir(to, 0o755)
		}
		if err := l.dir(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return l.file(path, to)
	})
}

// dir writes a directory and those above it, each once.
func (l layer) dir(d string, mode int64) error {
	if d == "." || d == "" || l.dirs[d] {
		return nil
	}
	if err := l.dir(filepath.Dir(d), 0o755); err != nil {
		return err
	}
	l.dirs[d] = true
	return l.tar.WriteHeader(&tar.Header{Name: d + "/", Typeflag: tar.TypeDir, Mode: mode})
}

func (l layer) file(src, dst string) error {
	st, err := os.Lstat(src)
	if err != nil {
		return err
	}
	switch {
	case st.Mode()&os.ModeSymlink != 0:
		to, err := os.Readlink(src)
		if err != nil {
			return err
		}
		return l.tar.WriteHeader(&tar.Header{Name: dst, Typeflag: tar.TypeSymlink, Linkname: to, Mode: 0o777})
	case !st.Mode().IsRegular():
		return fmt.Errorf("%s: neither file, directory nor link", src)
	}
	f, err := os.Open(src)
	if err != nil {
		return err
	}
	defer f.Close()
	mode := int64(0o644)
	if st.Mode()&0o111 != 0 {
		mode = 0o755
	}
	if err := l.tar.WriteHeader(&tar.Header{Name: dst, Typeflag: tar.TypeReg, Mode: mode, Size: st.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(l.tar, f)
	return err
}
