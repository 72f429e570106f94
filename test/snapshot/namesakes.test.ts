import { describe, expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import { ALL_GENERATIONS } from '../../src/kernel/generations/index.ts';
import { newHost } from '../harness/host.ts';
import { goOnAlike, hostFrom, make, textOf } from './restored.ts';

const LONG = 'g'.repeat(63);

/** A device in a group, whose file is opened before it goes: the group stays, and another one of its name may come. */
const comesAndGoes = (device: string, group: string): CallObject[] => [
  { call: 'create-device', device, group, driver: { type: 'synthetic', onDmaUnmap: 'ignore' } },
  { call: 'open-group', device },
  { call: 'remove-device', device },
];

const stays = (device: string, group: string) => comesAndGoes(device, group).slice(0, 2);

const AFTER: CallObject[] = ['d0', 'd1', 'd2', 'd3'].flatMap((device) => [
  { call: 'group-status', device },
  { call: 'open-group', device },
  { call: 'set-container', device, container: 'c0' },
  { call: 'close-group', device },
]);

describe.each(ALL_GENERATIONS.map(({ version }) => version))('Linux %s', (version) => {
  const hostAfter = (calls: readonly CallObject[]) => {
    const host = newHost(version);
    for (const call of [{ call: 'open-container', container: 'c0' }, ...calls]) make(host, call);
    return host;
  };
  const names = (text: string) =>
    JSON.parse(text).state.groups.map(({ group, name }: Record<string, string>) => [group, name ?? null]);

  test('groups of one name whose devices are gone, and one whose device is there, are restored as they were', () => {
    const host = hostAfter([
      ...comesAndGoes('d0', 'g9'),
      ...comesAndGoes('d1', 'g9'),
      ...stays('d2', 'g9'),
      ...stays('d3', 'g9.2'),
    ]);
    expect(names(textOf(host))).toEqual([
      ['g9', null],
      ['g9.3', 'g9'],
      ['g9.4', 'g9'],
      ['g9.2', null],
    ]);
    goOnAlike(host, AFTER);
  });

  test('a device that came again under its own name, in a group of the old one’s, is restored', () => {
    goOnAlike(hostAfter([...comesAndGoes('d0', 'g9'), ...stays('d0', 'g9')]), AFTER);
  });

  test('the name of a group that is as long as it may be is cut short for another’s', () => {
    const host = hostAfter([...comesAndGoes('d0', LONG), ...stays('d1', LONG)]);
    expect(names(textOf(host))).toEqual([
      [LONG, null],
      [`${'g'.repeat(52)}.2`, LONG],
    ]);
    goOnAlike(host, AFTER);
  });

  test('a group that is called otherwise although no other one has its name is refused', () => {
    const snapshot = JSON.parse(textOf(hostAfter([...comesAndGoes('d0', 'g9'), ...stays('d1', 'g9')])));
    const [, other] = snapshot.state.groups;
    for (const name of ['g8', 'g9.2']) {
      other.name = name;
      expect(() => hostFrom(JSON.stringify(snapshot))).toThrow(
        `snapshot/state/groups/1/name is "${name}", but must be that of another group`,
      );
    }
  });

  test('a device in a group that only files have is refused', () => {
    const snapshot = JSON.parse(textOf(hostAfter([...comesAndGoes('d0', 'g9'), ...stays('d1', 'g9')])));
    snapshot.state.devices[0].group = 'g9.2';
    expect(() => hostFrom(JSON.stringify(snapshot))).toThrow(
      'devices/0/group is "g9.2", which has no place for it',
    );
  });

  test('a group whose device was bound again keeps its dead file in who had it open, also once the device is gone', () => {
    const bound = (to: string): CallObject => ({ call: 'bind-device', device: 'd0', to });
    const host = hostAfter([
      { call: 'create-process', process: 'p1' },
      { call: 'create-device', device: 'd0', kind: 'vfio-pci', group: 'g9' },
      { call: 'open-group', device: 'd0', process: 'p1' },
      bound('none'),
      bound('vfio-pci'),
      { call: 'fork-process', process: 'p1', child: 'p2' },
    ]);
    goOnAlike(host, [{ call: 'group-status', device: 'd0' }]);
    goOnAlike(host, [
      { call: 'open-group', device: 'd0' },
      { call: 'remove-device', device: 'd0' },
    ]);
    goOnAlike(host, [{ call: 'close-group', device: 'd0' }]);
    goOnAlike(host, [
      { call: 'exit-process', process: 'p1' },
      { call: 'exit-process', process: 'p2' },
      { call: 'create-device', device: 'd0', kind: 'vfio-pci', group: 'g9' },
      { call: 'open-group', device: 'd0' },
    ]);
  });

  test('a dead file of an mdev’s group is refused', () => {
    const snapshot = JSON.parse(textOf(hostAfter(stays('d0', 'g9'))));
    const file = snapshot.state.files.length;
    snapshot.state.files.push({ of: 'group', id: 'g9', opener: 0, dead: true });
    snapshot.state.processes[0].files.push([file, file]);
    expect(() => hostFrom(JSON.stringify(snapshot))).toThrow(
      `files/${file}/id is "g9", but must be a group that`,
    );
  });
});
