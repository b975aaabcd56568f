/*
 * The headers of a PE32+ application, by hand: the file is an image of memory
 * from address 0 on, so that the compiler and the linker for Linux will do.
 * uefi.ld gives the sizes. Nothing in it needs relocation.
 */
	.section .head, "a"
	.ascii "MZ"
	.org 0x3c
	.long 0x40
	.ascii "PE\0\0"
	.word 0x8664, 2			/* x86-64; sections */
	.long 0, 0, 0
	.word optional_end - optional, 0x206
optional:
	.word 0x20b			/* PE32+ */
	.byte 0, 0
	.long text_size, data_size, 0, uefi_main, text_start
	.quad 0				/* loaded anywhere */
	.long 4096, 4096		/* alignment in memory, in the file */
	.word 0, 0, 0, 0, 0, 0
	.long 0, image_size, 4096, 0
	.word 10, 0			/* application */
	.quad 0, 0, 0, 0
	.long 0, 6
	.quad 0, 0, 0, 0, 0, 0
optional_end:
	.ascii ".text\0\0\0"
	.long text_size, text_start, text_size, text_start, 0, 0, 0
	.long 0x60000020		/* code, execute, read */
	.ascii ".data\0\0\0"
	.long data_size, data_start, data_in_file, data_start, 0, 0, 0
	.long 0xc0000040		/* data, read, write */
	.section .note.GNU-stack, "", @progbits
