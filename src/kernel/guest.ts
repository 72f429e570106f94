/**
 * A guest (struct kvm), by its number or by the id of the device that has it for its own. What an architecture keeps
 * in a guest is kept by the drivers that use it.
 */
export type GuestId = number | string;

/** The guest a device has of its own: that of device d7 is guest 7, that of another is called as the device is. */
export function ownGuestId(device: string): GuestId {
  const number = /^d(0|[1-9][0-9]{0,8})$/.exec(device)?.[1];
  return number === undefined ? device : Number(number);
}
