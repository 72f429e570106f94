import { describe, expect, test } from 'vitest';
import { RECORDED_VERSIONS } from '../../src/kernel/generations/index.ts';
import { recordings } from '../harness/recordings.ts';
import { STRAY_CALLBACKS } from '../harness/stray-callbacks.ts';
import { differences } from './halfway.ts';

describe.each(RECORDED_VERSIONS)('recordings of Linux %s, restored halfway', (version) => {
  test.each(recordings(version))('$file', ({ scenarios }) => {
    for (const scenario of scenarios) {
      const stray = STRAY_CALLBACKS[version]?.[scenario.id];
      expect(differences(scenario), scenario.id).toEqual(stray ? [expect.objectContaining(stray)] : []);
    }
  });
});
