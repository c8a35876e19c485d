/** Polling: slowly, only while the page is visible, and not at all once nothing can change any more. */
import { sent } from "./api.js";
import { React } from "./host.js";

const { useCallback, useEffect, useRef, useState } = React;
const SLOWEST = 60_000;
const PER_REQUEST = 1_000; // milliseconds of pause for each request of a reading: at most one request per second

/**
 * `read(signal, show)` returns the data, and may `show` a part of it before, while there is none; `pause(data)` returns the milliseconds until the
 * next reading, or null when nothing can change any more. The pause doubles while `data.mark` stays the same, and
 * after errors, which keep the last data on the page. {data, error, refresh}
 */
export function useLive(read, pause, keys) {
  const [state, setState] = useState({ data: null, error: null });
  const refresh = useRef(() => {});

  useEffect(() => {
    const ending = new AbortController();
    let timer;
    let errors = 0;
    let idle = 0;
    let mark;
    let due = false;
    let reading = false;

    const show = (data) => ending.signal.aborted || setState({ data, error: null });
    const showPart = (data) => ending.signal.aborted || setState((last) => (last.data ? last : { data, error: null }));

    async function poll() {
      clearTimeout(timer);
      if (document.hidden || reading) {
        due = true;
        return;
      }
      due = false;
      reading = true;
      let next;
      const before = sent;
      try {
        const data = await read(ending.signal, showPart);
        if (ending.signal.aborted) return;
        errors = 0;
        idle = data.mark !== undefined && data.mark === mark ? idle + 1 : 0;
        mark = data.mark;
        next = pause(data);
        if (next !== null) next = Math.max(Math.min(next * 2 ** Math.min(idle, 6), SLOWEST), (sent - before) * PER_REQUEST);
        show(data);
      } catch (error) {
        if (ending.signal.aborted) return;
        errors += 1;
        // Permissions and what does not exist do not change by requesting again.
        next = [401, 403, 404].includes(error.status) ? null : Math.min(5_000 * 2 ** errors, SLOWEST);
        setState((last) => ({ ...last, error }));
      } finally {
        reading = false;
      }
      if (due) poll();
      else if (next !== null) timer = setTimeout(poll, next);
    }

    function shown() {
      if (!document.hidden && due) poll();
    }

    refresh.current = () => {
      idle = 0;
      poll();
    };
    setState({ data: null, error: null });
    poll();
    document.addEventListener("visibilitychange", shown);
    return () => {
      ending.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", shown);
    };
  }, keys);

  return { ...state, refresh: useCallback(() => refresh.current(), []) };
}

/** The width of an element in pixels, as it changes: [ref, width]. */
export function useWidth() {
  const [width, setWidth] = useState(0);
  const observer = useRef(null);
  const ref = useCallback((element) => {
    observer.current?.disconnect();
    if (!element) return;
    observer.current = new ResizeObserver(([{ contentRect }]) => setWidth(Math.floor(contentRect.width)));
    observer.current.observe(element);
    setWidth(Math.floor(element.getBoundingClientRect().width));
  }, []);
  return [ref, width];
}
