package hostkeys

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
)

// The length that ssh-keygen chooses.
const rsaBits = 3072

// OpenSSH pads the private part to the block of a cipher, also without one.
const paddedTo = 8

// pair is a key in the wire format of SSH: public is the complete public key, private what follows the name of the kind.
type pair struct {
	name            string
	public, private []byte
}

var makers = map[string]func() (pair, error){"ed25519": newEd25519, "ecdsa": newECDSA, "rsa": newRSA}

// generate returns a new key as OpenSSH's files hold it.
func generate(kind, comment string) (private, public []byte, err error) {
	key, err := makers[kind]()
	if err != nil {
		return nil, nil, err
	}
	private, err = key.file(comment)
	if err != nil {
		return nil, nil, err
	}
	line := fmt.Sprintf("%s %s %s\n", key.name, base64.StdEncoding.EncodeToString(key.public), comment)
	return private, []byte(line), nil
}

func newEd25519() (pair, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return pair{}, err
	}
	const name = "ssh-ed25519"
	return pair{name, fields(name, []byte(public)), fields([]byte(public), []byte(private))}, nil
}

func newECDSA() (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	const name, curve = "ecdsa-sha2-nistp256", "nistp256"
	point := uncompressed(&key.PublicKey)
	return pair{name, fields(name, curve, point), fields(curve, point, key.D)}, nil
}

// uncompressed is the point as SEC 1 writes it.
func uncompressed(key *ecdsa.PublicKey) []byte {
	size := (key.Curve.Params().BitSize + 7) / 8
	point := make([]byte, 1+2*size)
	point[0] = 4
	key.X.FillBytes(point[1 : 1+size])
	key.Y.FillBytes(point[1+size:])
	return point
}

func newRSA() (pair, error) {
	key, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return pair{}, err
	}
	const name = "ssh-rsa"
	exponent := big.NewInt(int64(key.E))
	p, q := key.Primes[0], key.Primes[1]
	inverse := new(big.Int).ModInverse(q, p)
	return pair{name, fields(name, exponent, key.N), fields(key.N, exponent, key.D, inverse, p, q)}, nil
}

// file is the private key in OpenSSH's format without a passphrase: PROTOCOL.key of OpenSSH.
func (k pair) file(comment string) ([]byte, error) {
	check := make([]byte, 4)
	if _, err := rand.Read(check); err != nil {
		return nil, err
	}
	var private bytes.Buffer
	private.Write(check)
	private.Write(check)
	private.Write(fields(k.name))
	private.Write(k.private)
	private.Write(fields(comment))
	for pad := byte(1); private.Len()%paddedTo != 0; pad++ {
		private.WriteByte(pad)
	}
	var all bytes.Buffer
	all.WriteString("openssh-key-v1\x00")
	all.Write(fields("none", "none", ""))
	all.Write([]byte{0, 0, 0, 1})
	all.Write(fields(k.public, private.Bytes()))
	return pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: all.Bytes()}), nil
}

// fields encodes strings, bytes and numbers as SSH does: each with its length before it.
func fields(values ...interface{}) []byte {
	var encoded bytes.Buffer
	for _, value := range values {
		var data []byte
		switch value := value.(type) {
		case string:
			data = []byte(value)
		case []byte:
			data = value
		case *big.Int:
			data = value.Bytes()
			// A leading bit would make it negative.
			if len(data) > 0 && data[0]&0x80 != 0 {
				data = append([]byte{0}, data...)
			}
		default:
			panic(fmt.Sprintf("no such field in SSH: %T", value))
		}
		_ = binary.Write(&encoded, binary.BigEndian, uint32(len(data)))
		encoded.Write(data)
	}
	return encoded.Bytes()
}
