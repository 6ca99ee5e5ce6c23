package ext4

import (
	"encoding/binary"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is CRC-32C as the kernel computes it, without inverting the start value or the result.
func checksum(seed uint32, data []byte) uint32 {
	return ^crc32.Update(^seed, castagnoli, data)
}

func checksumOfNumber(seed, number uint32) uint32 {
	return checksum(seed, binary.LittleEndian.AppendUint32(nil, number))
}

func get16(data []byte, at int) uint32 { return uint32(binary.LittleEndian.Uint16(data[at:])) }
func get32(data []byte, at int) uint32 { return binary.LittleEndian.Uint32(data[at:]) }

func put16(data []byte, at int, value uint32) {
	binary.LittleEndian.PutUint16(data[at:], uint16(value))
}

func put32(data []byte, at int, value uint32) { binary.LittleEndian.PutUint32(data[at:], value) }
func put64(data []byte, at int, value uint64) { binary.LittleEndian.PutUint64(data[at:], value) }

// putSplit16 writes a number's low and high 16 bits to two places.
func putSplit16(data []byte, low, high int, value uint32) {
	put16(data, low, value&0xffff)
	put16(data, high, value>>16)
}

// bitmap has one bit for each block or inode, starting with the lowest bit of each byte.
type bitmap []byte

func (b bitmap) has(i uint32) bool { return b[i/8]&(1<<(i%8)) != 0 }
func (b bitmap) set(i uint32)      { b[i/8] |= 1 << (i % 8) }
func (b bitmap) clear(i uint32)    { b[i/8] &^= 1 << (i % 8) }
