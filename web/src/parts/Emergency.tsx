// Emergency access: taken at once with a reason, shown while it lasts.

import { useEffect } from 'react';

import { auth } from '../api/auth';
import { checkSession, useAuth } from '../api/session';
import { clock } from '../lib/format';

import { Action } from '.';
import { Dialogue } from './Dialogue';

/** Longest wait that a timer of the browser keeps. */
const TIMER_MAX_MS = 2 ** 31 - 1;

export function EmergencyBar() {
  const { break_glass: taken } = useAuth();
  const until = taken?.until;
  useEffect(() => {
    if (!until) return;
    const left = Math.min(TIMER_MAX_MS, Math.max(0, Date.parse(until) - Date.now()) + 1000);
    const timer = setTimeout(() => void checkSession(), left);
    return () => clearTimeout(timer);
  }, [until]);
  if (!until) return null;
  return (
    <div className="emergency" role="status">
      <p><strong>Emergency access is on until {clock(until)}.</strong> Everything you look at is recorded and reviewed.</p>
      <Action act={auth.endBreakGlass} done={() => void checkSession()}>End it now</Action>
    </div>
  );
}

export function TakeEmergencyAccess() {
  return (
    <Dialogue kind="danger" open="Emergency access…" title="Take emergency access" ask="Why is it needed? A few words; do not name the patient." least={10}
      act={auth.breakGlass} done={() => void checkSession()}>
      <p>For when a patient needs it now and nobody with the right role is there. You see studies and images at once, for an hour.</p>
      <p>The owner and the auditors are told at once, everything you look at is recorded, and somebody reviews it afterwards.</p>
    </Dialogue>
  );
}
