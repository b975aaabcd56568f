/*
 * SANITIZED is defined in a build with a sanitizer: these call more of the
 * system than a sandbox's list has, and reserve terabytes of addresses.
 */
#ifndef DAEMON_SANITIZED_H
#define DAEMON_SANITIZED_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#endif
