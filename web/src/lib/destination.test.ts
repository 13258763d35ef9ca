import { describe, expect, it } from 'vitest';

import { listed, taken } from './destination';

const rule = { models: [], modalities: [], body_parts: [], study_description: null };

describe('what goes to a destination', () => {
  it('is every result where no rule stands', () => expect(taken(rule)).toBe('Every result'));
  it('is said with all that the rule asks for', () => {
    const said = taken({ models: ['brain'], modalities: ['MR', 'CT'], body_parts: ['HEAD'], study_description: '*stroke*' });
    expect(said).toBe('Results of brain, for studies with MR or CT, of HEAD, described as *stroke*');
  });
  it('is typed with commas between', () => expect(listed(' MR, CT ,,')).toEqual(['MR', 'CT']));
});
