/*
 * The service's devices, by the numbers and names that a program knows them by.
 *
 * Group gN is /dev/vfio/N. A vfio-pci device whose id is 0000-01-00.0 is PCI device 0000:01:00.0 (an id has no
 * colons); with any other id it is 0000:BUS:SLOT.0, made of its group's number. An mdev is known by its id.
 */
#include "shim.h"
#include <limits.h>

#define MOST "1000"

static bool is_bdf(const char *id)
{
	unsigned domain, bus, slot, function;
	char more;

	return strlen(id) == 12 && sscanf(id, "%4x-%2x-%2x.%1u%c", &domain, &bus, &slot, &function, &more) == 4;
}

/* The name of a device for VFIO_GROUP_GET_DEVICE_FD and below /sys/bus; `name` has ID_SIZE bytes. */
static void name_of(const char *id, bool pci, unsigned group, char *name)
{
	snprintf(name, ID_SIZE, "%s", id);
	if (!pci)
		return;
	if (is_bdf(id))
		name[4] = name[7] = ':';
	else
		snprintf(name, ID_SIZE, "0000:%02x:%02x.0", (group / 31) & 0xff, group % 31 + 1);
}

static enum api api_of(const char *device)
{
	const char *type = json_get(json_get(device, "driver"), "type");

	if (json_is(type, "\"vfio-ccw\""))
		return API_CCW;
	return json_is(type, "\"vfio-ap\"") ? API_AP : API_PCI;
}

/*
 * Finds a device of a group: one of this name, or the first where `name` is NULL.
 *
 * `known_as` (ID_SIZE bytes, or NULL) takes its name.
 */
static bool find(unsigned group, const char *name, struct shared *found, char *known_as)
{
	struct reply reply;
	char wanted[16], known[ID_SIZE];
	bool is = false;

	snprintf(wanted, sizeof(wanted), "\"g%u\"", group);
	memset(found, 0, sizeof(*found));
	http_call(&reply, "GET", "/v1/devices?limit=" MOST, NULL);
	for (const char *at = json_first(json_get(reply.body, "devices")); at && !is; at = json_next(at)) {
		if (!json_is(json_get(at, "group"), wanted))
			continue;
		bool pci = !json_is(json_get(at, "kind"), "\"mdev\"");

		json_string(json_get(at, "device"), found->id, sizeof(found->id));
		name_of(found->id, pci, group, known);
		size_t length = strlen(known);

		/* As the kernel's drivers match: vfio-pci takes options behind a blank, others nothing. */
		is = !name || !strcmp(name, known) || (pci && !strncmp(name, known, length) && name[length] == ' ');
		if (is) {
			found->group = group;
			found->api = pci ? API_PCI : api_of(at);
			if (known_as)
				strcpy(known_as, known);
		}
	}
	reply_end(&reply);
	return is;
}

/* Any device of a group; false where there is no such group. */
bool device_of_group(unsigned group, struct shared *found)
{
	return find(group, NULL, found, NULL);
}

/* The device of a group that has this name. */
bool device_named(unsigned group, const char *name, struct shared *found, char *known_as)
{
	return find(group, name, found, known_as);
}
