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

/*
 * With Secure Boot the firmware runs no application that is not signed, but
 * still what looks like a Linux kernel with an EFI handover entry (Linux's
 * Documentation/x86/boot.rst; OVMF's LoadLinuxLib): it loads what follows the
 * "setup sectors", our headers, and jumps 512 bytes behind the offset.
 */
	.org 0x1f1
	.byte 7				/* sectors of headers, but one */
	.org 0x1fe
	.word 0xaa55, 0x66eb		/* a jump over this header */
	.ascii "HdrS"
	.word 0x20c
	.org 0x211
	.byte 1				/* loaded high */
	.org 0x22c
	.long 0xffffffff, 0x1000	/* initrd's end; alignment */
	.byte 1, 12			/* relocatable, least alignment 2^12 */
	.word 0x0b			/* 64 bits, anywhere, handover */
	.long 2048			/* command line */
	.org 0x258
	.quad 0x1000000			/* likes to be here */
	.long loaded_size, handover_offset

/* (rdi image, rsi system table, rdx parameters of Linux) */
	.section .handover, "ax"
	.globl handover
handover:
	mov %rdi, %r8
	cld
	lea bss_start(%rip), %rdi	/* nobody has cleared it */
	mov $bss_size, %ecx
	xor %eax, %eax
	rep stosb
	mov %r8, %rcx
	mov %rsi, %rdx
	and $-16, %rsp
	sub $32, %rsp
	call uefi_main
1:	hlt
	jmp 1b
	.section .note.GNU-stack, "", @progbits
