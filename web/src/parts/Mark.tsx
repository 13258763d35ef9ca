export function Mark() {
  return (
    <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
      <rect className="mark-ground" width="32" height="32" rx="8" />
      <path className="mark-line" d="M9 7v18M23 7v18M9 16c4-5 10 5 14 0" />
    </svg>
  );
}
