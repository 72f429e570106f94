import { describe, expect, test } from 'vitest';
import { CoreRig } from '../harness/core-rig.ts';
import { CC, CD, ccw, NOP, poke, READ, SUSPEND, TIC } from './channel-programs.ts';

/** What the channel and its device make of a program that the driver has handed on: the status of its interrupt. */

const SENSE = 0x04;
const SENSE_ID = 0xe4;
const SLI = 0x20;
const MIDA = 0x01;
const AT = 0x40000;

const ENDED = { deviceStatus: '0x0c', subchannelStatus: '0x00' };
const PROGRAM_CHECK = { deviceStatus: '0x00', subchannelStatus: '0x20' };
const REJECT = { deviceStatus: '0x02', subchannelStatus: '0x00' };

/** The status with which a program ends. */
function ends(...program: Buffer[]): unknown {
  const rig = new CoreRig('6.1', { d0: { type: 'vfio-ccw' } });
  rig.map(0x10000, 0x10000);
  rig.map(AT, 0x10000);
  poke(rig, AT, ...program);
  rig.do('ccw-start', { device: 'd0', program: AT });
  return rig.do('ccw-interrupt', { device: 'd0' }).scsw;
}

describe('a channel program', () => {
  test('SENSE has 32 bytes, SENSE ID 256', () => {
    expect(ends(ccw(SENSE, 0, 32, 0x15000))).toMatchObject(ENDED);
    expect(ends(ccw(SENSE_ID, 0, 256, 0x15000))).toMatchObject(ENDED);
  });

  test.each([
    [SENSE, 31],
    [SENSE, 33],
    [SENSE_ID, 32],
  ])(
    'command %i with a count of %i: a program check, unless its length is not to be checked',
    (command, count) => {
      expect(ends(ccw(command, 0, count, 0x15000))).toMatchObject(PROGRAM_CHECK);
      expect(ends(ccw(command, SLI, count, 0x15000))).toMatchObject(ENDED);
    },
  );

  test('with data chaining the length is checked all the same', () => {
    expect(ends(ccw(SENSE, SLI | CD, 31, 0x15000), ccw(SENSE, 0, 32, 0x15000))).toMatchObject(PROGRAM_CHECK);
  });

  test('what was not transferred is the residual count', () => {
    expect(ends(ccw(SENSE, SLI, 40, 0x15000))).toMatchObject({ ...ENDED, count: 8 });
    expect(ends(ccw(SENSE, SLI, 8, 0x15000))).toMatchObject({ ...ENDED, count: 0 });
  });

  test('NOP ends well, a command that the device does not know is rejected', () => {
    expect(ends(ccw(NOP, 0, 1, 0x15000))).toMatchObject(ENDED);
    expect(ends(ccw(READ, 0, 16, 0x15000))).toMatchObject(REJECT);
  });

  test('command chaining goes on to the next CCW, and no further than to one that fails', () => {
    expect(ends(ccw(NOP, CC, 1, 0x15000), ccw(READ, 0, 16, 0x15000))).toMatchObject(REJECT);
    expect(ends(ccw(READ, CC, 16, 0x15000), ccw(NOP, 0, 1, 0x15000))).toMatchObject(REJECT);
  });

  test.each([0x00, 0x10, 0xf0, 0x18])('command %i is none: a program check', (command) => {
    expect(ends(ccw(command, 0, 16, 0x15000))).toMatchObject(PROGRAM_CHECK);
  });

  test('a modified IDA list: a program check', () => {
    expect(ends(ccw(NOP, MIDA, 1, 0x15000))).toMatchObject(PROGRAM_CHECK);
  });

  test('a TIC goes on where it leads to, unless it has flags or a count, or another has led to it', () => {
    const nop = ccw(NOP, 0, 1, 0x15000);
    const first = ccw(NOP, CC, 1, 0x15000);
    expect(ends(first, ccw(TIC, 0, 0, AT + 24), ccw(READ, 0, 16, 0x15000), nop)).toMatchObject(ENDED);
    expect(ends(first, ccw(TIC, 0x20, 0, AT + 24), nop, nop)).toMatchObject(PROGRAM_CHECK);
    expect(ends(first, ccw(TIC, 0, 1, AT + 24), nop, nop)).toMatchObject(PROGRAM_CHECK);
    expect(ends(first, ccw(TIC, 0, 0, AT + 16), ccw(TIC, 0, 0, AT + 24), nop)).toMatchObject(PROGRAM_CHECK);
  });

  test('that is suspended ends when it is resumed', () => {
    expect(ends(ccw(NOP, SUSPEND, 1, 0x15000))).toMatchObject(ENDED);
  });
});
