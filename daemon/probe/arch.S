/*
 * Reading an MSR that may not be there: the handler of #GP goes on behind the
 * rdmsr. Arguments are those of the System V ABIs.
 */
	.text
	.globl msr_read, msr_on_fault
	.hidden msr_read, msr_on_fault
#ifdef __x86_64__
msr_read:
	mov %edi, %ecx
	rdmsr
	mov %eax, (%rsi)
	mov %edx, 4(%rsi)
	xor %eax, %eax
	ret
msr_refused:
	mov $-1, %eax
	ret
msr_on_fault:
	add $8, %rsp
	lea msr_refused(%rip), %rax
	mov %rax, (%rsp)
	iretq
#else
msr_read:
	mov 4(%esp), %ecx
	rdmsr
	mov 8(%esp), %ecx
	mov %eax, (%ecx)
	mov %edx, 4(%ecx)
	xor %eax, %eax
	ret
msr_refused:
	mov $-1, %eax
	ret
msr_on_fault:
	add $4, %esp
	movl $msr_refused, (%esp)
	iret
#endif
	.section .note.GNU-stack, "", @progbits
