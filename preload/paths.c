/*
 * Names of files: what the program looks up below /sys and /dev/vfio is looked up in a folder that stands in for
 * them, where there is something of that name; else in the real place.
 */
#include "shim.h"
#include <limits.h>
#include <sys/sysmacros.h>

#define DEV "/dev/vfio"

static bool below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return !strncmp(path, folder, n) && (path[n] == '/' || path[n] == 0);
}

static bool exists(const char *path)
{
	struct stat st;
	int kept = errno;
	bool found = !REAL(lstat)(path, &st);

	errno = kept;
	return found;
}

/* The path to use in place of one that the program gave; `buffer` has PATH_MAX bytes. */
const char *redirect(const char *path, char *buffer)
{
	if (!path || path[0] != '/' || (path[1] != 's' && path[1] != 'd'))
		return path;
	shim_start();
	if (!shim.root || (!below(path, "/sys") && !below(path, DEV)))
		return path;
	if ((size_t)snprintf(buffer, PATH_MAX, "%s%s", shim.root, path) >= PATH_MAX)
		return path;
	return exists(buffer) ? buffer : path;
}

/* Whether a descriptor is the folder that stands in for /dev/vfio. */
static bool is_dev_folder(int directory)
{
	char path[64], link[PATH_MAX], folder[PATH_MAX];

	if (!shim.root)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", directory);
	snprintf(folder, sizeof(folder), "%s" DEV, shim.root);
	ssize_t n = REAL(readlink)(path, link, sizeof(link) - 1);

	if (n < 0)
		return false;
	link[n] = 0;
	return !strcmp(link, folder);
}

/*
 * The node below /dev/vfio that a path names ("vfio", "5", "noiommu-5"), or "/dev/iommu" as "iommu"; NULL where it is none, or
 * where we do not stand in for it.
 */
const char *vfio_node(int directory, const char *path)
{
	if (!path)
		return NULL;
	if (path[0] == '/') {
		if (!strcmp(path, "/dev/iommu"))
			path = "iommu";
		else if (!strncmp(path, DEV "/", sizeof(DEV)))
			path += sizeof(DEV);
		else
			return NULL;
		shim_start();
	} else if (directory == AT_FDCWD || !is_dev_folder(directory)) {
		return NULL;
	}
	while (*path == '/' || (path[0] == '.' && path[1] == '/'))
		path++;
	return shim.on && *path ? path : NULL;
}

/* The number of a group's node; false where it is none. */
static bool group_number(const char *node, unsigned *number)
{
	char more;

	if (!strncmp(node, "noiommu-", 8))
		node += 8;
	return *node >= '0' && *node <= '9' && sscanf(node, "%u%c", number, &more) == 1;
}

/* What stat says of a node; false where it is not there. */
bool vfio_node_stat(const char *node, struct stat *st)
{
	struct shared device;
	unsigned group = 0;

	memset(st, 0, sizeof(*st));
	st->st_nlink = 1;
	st->st_blksize = 4096;
	if (!strcmp(node, "vfio")) {
		st->st_mode = S_IFCHR | 0666;
		st->st_rdev = makedev(10, 196);
		return true;
	}
	if (!strcmp(node, "iommu")) {
		st->st_mode = S_IFCHR | 0660;
		st->st_rdev = makedev(10, 126);
		return kernel_has_iommufd_containers();
	}
	if (!group_number(node, &group) || !device_of_group(group, &device))
		return false;
	st->st_mode = S_IFCHR | 0600;
	st->st_rdev = makedev(511, group);
	return true;
}

static int stat_at(int directory, const char *path, struct stat *st, int flags)
{
	char buffer[PATH_MAX];
	const char *node = vfio_node(directory, path);

	if (!node)
		return REAL(fstatat)(directory, redirect(path, buffer), st, flags);
	if (vfio_node_stat(node, st))
		return 0;
	/* A folder below /dev/vfio, or nothing. */
	return REAL(fstatat)(directory, redirect(path, buffer), st, flags);
}

static int access_at(int directory, const char *path, int mode, int flags)
{
	char buffer[PATH_MAX];
	struct stat st;
	const char *node = vfio_node(directory, path);

	if (node && vfio_node_stat(node, &st))
		return mode & X_OK ? fails(EACCES) : 0;
	return REAL(faccessat)(directory, redirect(path, buffer), mode, flags);
}

HOOK int stat(const char *path, struct stat *st)
{
	return stat_at(AT_FDCWD, path, st, 0);
}

HOOK int lstat(const char *path, struct stat *st)
{
	return stat_at(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

HOOK int fstatat(int directory, const char *path, struct stat *st, int flags)
{
	return stat_at(directory, path, st, flags);
}

#ifdef __GLIBC__
/* On 64-bit machines the two structs are one. */
_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "a 64-bit machine");

HOOK int stat64(const char *path, struct stat64 *st)
{
	return stat_at(AT_FDCWD, path, (struct stat *)st, 0);
}

HOOK int lstat64(const char *path, struct stat64 *st)
{
	return stat_at(AT_FDCWD, path, (struct stat *)st, AT_SYMLINK_NOFOLLOW);
}

HOOK int fstatat64(int directory, const char *path, struct stat64 *st, int flags)
{
	return stat_at(directory, path, (struct stat *)st, flags);
}

/* What programs call that were built with a C library before 2.33. */
HOOK int __xstat(int version, const char *path, struct stat *st)
{
	(void)version;
	return stat_at(AT_FDCWD, path, st, 0);
}

HOOK int __lxstat(int version, const char *path, struct stat *st)
{
	(void)version;
	return stat_at(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

HOOK int __fxstatat(int version, int directory, const char *path, struct stat *st, int flags)
{
	(void)version;
	return stat_at(directory, path, st, flags);
}

HOOK int __xstat64(int version, const char *path, struct stat64 *st) __attribute__((alias("__xstat")));
HOOK int __lxstat64(int version, const char *path, struct stat64 *st) __attribute__((alias("__lxstat")));
HOOK int __fxstatat64(int version, int directory, const char *path, struct stat64 *st, int flags)
	__attribute__((alias("__fxstatat")));
#endif

HOOK int statx(int directory, const char *path, int flags, unsigned mask, struct statx *stx)
{
	char buffer[PATH_MAX];
	struct stat st;
	const char *node = vfio_node(directory, path);

	if (!node || !vfio_node_stat(node, &st))
		return REAL(statx)(directory, redirect(path, buffer), flags, mask, stx);
	memset(stx, 0, sizeof(*stx));
	stx->stx_mask = STATX_TYPE | STATX_MODE | STATX_NLINK;
	stx->stx_mode = st.st_mode;
	stx->stx_nlink = 1;
	stx->stx_rdev_major = major(st.st_rdev);
	stx->stx_rdev_minor = minor(st.st_rdev);
	return 0;
}

HOOK int access(const char *path, int mode)
{
	return access_at(AT_FDCWD, path, mode, 0);
}

HOOK int eaccess(const char *path, int mode)
{
	return access_at(AT_FDCWD, path, mode, AT_EACCESS);
}

HOOK int euidaccess(const char *path, int mode)
{
	return access_at(AT_FDCWD, path, mode, AT_EACCESS);
}

HOOK int faccessat(int directory, const char *path, int mode, int flags)
{
	return access_at(directory, path, mode, flags);
}

HOOK ssize_t readlink(const char *path, char *out, size_t size)
{
	char buffer[PATH_MAX];

	return REAL(readlink)(redirect(path, buffer), out, size);
}

HOOK ssize_t readlinkat(int directory, const char *path, char *out, size_t size)
{
	char buffer[PATH_MAX];

	return REAL(readlinkat)(directory, redirect(path, buffer), out, size);
}

/* A path of the folder's as the program may know it. */
static char *disguise(char *path)
{
	size_t n = shim.root ? strlen(shim.root) : 0;

	if (path && n && !strncmp(path, shim.root, n) && path[n] == '/')
		memmove(path, path + n, strlen(path + n) + 1);
	return path;
}

HOOK char *realpath(const char *path, char *out)
{
	char buffer[PATH_MAX];
	const char *node = vfio_node(AT_FDCWD, path);
	struct stat st;

	if (node && vfio_node_stat(node, &st))
		return out ? strcpy(out, path) : strdup(path);
	return disguise(REAL(realpath)(redirect(path, buffer), out));
}

HOOK char *__realpath_chk(const char *path, char *out, size_t size)
{
	(void)size;
	return realpath(path, out);
}

HOOK char *canonicalize_file_name(const char *path)
{
	return realpath(path, NULL);
}

HOOK DIR *opendir(const char *path)
{
	char buffer[PATH_MAX];

	return REAL(opendir)(redirect(path, buffer));
}

HOOK int scandir(const char *path, struct dirent ***list, int (*filter)(const struct dirent *),
		 int (*order)(const struct dirent **, const struct dirent **))
{
	char buffer[PATH_MAX];

	return REAL(scandir)(redirect(path, buffer), list, filter, order);
}

HOOK FILE *fopen(const char *path, const char *mode)
{
	char buffer[PATH_MAX];

	return REAL(fopen)(redirect(path, buffer), mode);
}

HOOK FILE *freopen(const char *path, const char *mode, FILE *file)
{
	char buffer[PATH_MAX];

	return REAL(freopen)(redirect(path, buffer), mode, file);
}

#ifdef __GLIBC__
HOOK int scandir64(const char *path, struct dirent64 ***list, int (*filter)(const struct dirent64 *),
		   int (*order)(const struct dirent64 **, const struct dirent64 **))
{
	char buffer[PATH_MAX];

	return REAL(scandir64)(redirect(path, buffer), list, filter, order);
}

HOOK FILE *fopen64(const char *path, const char *mode)
{
	return fopen(path, mode);
}

HOOK FILE *freopen64(const char *path, const char *mode, FILE *file)
{
	return freopen(path, mode, file);
}

HOOK ssize_t __readlink_chk(const char *path, char *out, size_t size, size_t room)
{
	(void)room;
	return readlink(path, out, size);
}
#endif
