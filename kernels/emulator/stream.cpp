// stream.cpp: streams, events and graphs. A stream is a queue. Under an eager schedule each entry happens as it is queued; under a late one
// nothing happens until somebody waits, so that a missing wait shows: the host reads what nobody has written yet, a second stream
// overtakes the first.
#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "kernels/emulator/emulator.h"
#include "kernels/emulator/state.h"

using namespace fovea::emulator;

struct CUgraph_st {
  std::vector<std::function<void()>> nodes;   // in the order of capture, which respects every dependence
};
struct CUgraphExec_st {
  std::shared_ptr<const std::vector<std::function<void()>>> nodes;
};

struct CUevent_st {
  CUstream_st* stream = nullptr;   // where it was recorded last; null: the default stream
  std::uint64_t ticket = 0;        // of that entry; 0: never
  CUgraph_st* capture = nullptr;   // recorded in a capture
};

namespace {

struct Entry {
  std::uint64_t ticket;
  std::function<void()> work;   // may be empty
  CUstream_st* after_stream = nullptr;
  std::uint64_t after_ticket = 0;   // of after_stream: this far it must be
};

}   // namespace

struct CUstream_st {
  std::deque<Entry> entries;
  bool blocking = true;            // waits for the default stream and the other way round
  CUgraph_st* capture = nullptr;   // being recorded
  bool capture_origin = false, capture_relaxed = false;
};

namespace {

struct Streams {
  CUstream_st default_stream;
  std::set<CUstream_st*> created;
  std::set<CUevent_st*> events;
  std::uint64_t tickets = 0;
  int captures = 0;
};
Streams& streams() {
  static Streams& s = *new Streams;
  return s;
}
CUstream_st* resolve(cudaStream_t s) {
  if (!s) return &streams().default_stream;
  return streams().created.count(s) ? s : nullptr;
}

/// Makes everything happen that was queued on s up to this ticket, with what it depends on: an event's entry; and, for the default stream
/// (the "legacy" one), all blocking streams up to then, as they depend on it.
void advance(CUstream_st& s, std::uint64_t ticket) {
  while (!s.entries.empty() && s.entries.front().ticket <= ticket) {
    const Entry e = std::move(s.entries.front());
    s.entries.pop_front();
    if (e.after_ticket)
      if (CUstream_st* other = resolve(e.after_stream)) advance(*other, e.after_ticket);
    if (&s == &streams().default_stream) {
      for (CUstream_st* other : streams().created)
        if (other->blocking) advance(*other, e.ticket);
    } else if (s.blocking) {
      advance(streams().default_stream, e.ticket);
    }
    if (e.work && !device_has_failed()) e.work();
  }
}

cudaError_t bad_handle(const char* call) {
  return error(cudaErrorInvalidResourceHandle, std::string(call) + ": no such stream, event or graph");
}

cudaError_t enqueue(CUstream_st& s, Entry e) {
  e.ticket = ++streams().tickets;
  s.entries.push_back(std::move(e));
  if (!schedule().late_streams) advance(s, streams().tickets);
  return sticky_error();
}

}   // namespace

namespace fovea::emulator {

cudaError_t queue(cudaStream_t stream, std::function<void()> work) {
  CUstream_st* s = resolve(stream);
  if (!s) return bad_handle("work");
  if (s->capture) {
    s->capture->nodes.push_back(std::move(work));
    return cudaSuccess;
  }
  if (!stream && streams().captures > 0)   // the default stream would wait for the stream that is being captured
    return error(cudaErrorStreamCaptureUnsupported, "work on the default stream during a capture");
  return enqueue(*s, {.ticket = 0, .work = std::move(work)});
}
cudaError_t finish(cudaStream_t stream) {
  CUstream_st* s = resolve(stream);
  if (!s) return bad_handle("cudaStreamSynchronize");
  if (s->capture) return error(cudaErrorStreamCaptureUnsupported, "waiting for a stream that is being captured");
  if (!stream)   // all blocking streams come before whatever would be queued now
    for (CUstream_st* other : streams().created)
      if (other->blocking) advance(*other, streams().tickets);
  advance(*s, streams().tickets);
  return sticky_error();
}
cudaError_t finish_all() {
  advance(streams().default_stream, streams().tickets);
  for (CUstream_st* s : streams().created) advance(*s, streams().tickets);
  return sticky_error();
}
bool capturing_any() { return streams().captures > 0; }
bool capturing_strictly() {
  return std::any_of(streams().created.begin(), streams().created.end(),
                     [](const CUstream_st* s) { return s->capture && s->capture_origin && !s->capture_relaxed; });
}
void drop_all_work() {
  Streams& all = streams();
  all.default_stream.entries.clear();
  for (CUstream_st* s : all.created) {
    s->entries.clear();
    if (s->capture && s->capture_origin) delete s->capture;
    s->capture = nullptr;
  }
  all.captures = 0;
}

}   // namespace fovea::emulator

#define FOVEA_ENTER                              \
  std::lock_guard runtime_lock(runtime_mutex()); \
  if (const cudaError_t lost = sticky_error(); lost != cudaSuccess) return lost

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned flags) {
  FOVEA_ENTER;
  if (flags > cudaStreamNonBlocking) return error(cudaErrorInvalidValue, "cudaStreamCreateWithFlags: unknown flags");
  *s = new CUstream_st;
  (*s)->blocking = flags != cudaStreamNonBlocking;
  streams().created.insert(*s);
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* s) { return cudaStreamCreateWithFlags(s, cudaStreamDefault); }
cudaError_t cudaStreamDestroy(cudaStream_t s) {
  std::lock_guard lock(runtime_mutex());   // also after a failure: destructors come this way
  if (!s || !resolve(s)) return bad_handle("cudaStreamDestroy");
  advance(*s, streams().tickets);
  streams().created.erase(s);
  delete s;
  return sticky_error();
}
cudaError_t cudaStreamSynchronize(cudaStream_t s) {
  FOVEA_ENTER;
  return finish(s);
}
cudaError_t cudaStreamQuery(cudaStream_t s) {
  FOVEA_ENTER;
  const CUstream_st* stream = resolve(s);
  if (!stream) return bad_handle("cudaStreamQuery");
  return stream->entries.empty() ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned) {
  FOVEA_ENTER;
  CUstream_st* stream = resolve(s);
  if (!stream || !streams().events.count(e)) return bad_handle("cudaStreamWaitEvent");
  if (e->capture) {   // a stream that waits for a captured event is captured with it
    if (stream->capture && stream->capture != e->capture) return error(cudaErrorStreamCaptureUnsupported, "an event of another capture");
    stream->capture = e->capture;
    return cudaSuccess;
  }
  if (stream->capture) return error(cudaErrorStreamCaptureUnsupported, "a captured stream waits for an event outside the capture");
  if (e->ticket == 0) return cudaSuccess;   // never recorded
  return enqueue(*stream, {.ticket = 0, .work = {}, .after_stream = e->stream, .after_ticket = e->ticket});
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) {
  FOVEA_ENTER;
  *e = new CUevent_st;
  streams().events.insert(*e);
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t e) {
  std::lock_guard lock(runtime_mutex());
  if (streams().events.erase(e) == 0) return bad_handle("cudaEventDestroy");
  delete e;
  return sticky_error();
}
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) {
  FOVEA_ENTER;
  CUstream_st* stream = resolve(s);
  if (!stream || !streams().events.count(e)) return bad_handle("cudaEventRecord");
  e->capture = stream->capture;
  if (stream->capture) return cudaSuccess;
  e->stream = s;
  e->ticket = streams().tickets + 1;
  return enqueue(*stream, {.ticket = 0, .work = {}});
}
cudaError_t cudaEventSynchronize(cudaEvent_t e) {
  FOVEA_ENTER;
  if (!streams().events.count(e)) return bad_handle("cudaEventSynchronize");
  if (e->capture) return error(cudaErrorStreamCaptureUnsupported, "waiting for a captured event");
  if (CUstream_st* stream = resolve(e->stream); e->ticket && stream) advance(*stream, e->ticket);
  return sticky_error();
}
cudaError_t cudaEventQuery(cudaEvent_t e) {
  FOVEA_ENTER;
  if (!streams().events.count(e)) return bad_handle("cudaEventQuery");
  const CUstream_st* stream = resolve(e->stream);
  return e->ticket && stream && !stream->entries.empty() && stream->entries.front().ticket <= e->ticket ? cudaErrorNotReady : cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float*, cudaEvent_t, cudaEvent_t) {
  FOVEA_ENTER;
  return error(cudaErrorNotSupported, "an emulated device is never timed");
}

cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode mode) {
  FOVEA_ENTER;
  CUstream_st* stream = resolve(s);
  if (!stream) return bad_handle("cudaStreamBeginCapture");
  if (!s || stream->capture)
    return error(cudaErrorStreamCaptureUnsupported, s ? "the stream is being captured already" : "the default stream cannot be captured");
  stream->capture = new CUgraph_st;
  stream->capture_origin = true;
  stream->capture_relaxed = mode == cudaStreamCaptureModeRelaxed;
  ++streams().captures;
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t s, cudaStreamCaptureStatus* status) {
  FOVEA_ENTER;
  const CUstream_st* stream = resolve(s);
  if (!stream) return bad_handle("cudaStreamIsCapturing");
  *status = stream->capture ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* g) {
  FOVEA_ENTER;
  CUstream_st* stream = resolve(s);
  if (!s || !stream) return bad_handle("cudaStreamEndCapture");
  if (!stream->capture || !stream->capture_origin)
    return error(cudaErrorInvalidValue, "cudaStreamEndCapture without cudaStreamBeginCapture");
  *g = stream->capture;
  for (CUstream_st* other : streams().created)
    if (other->capture == *g) other->capture = nullptr;
  for (CUevent_st* e : streams().events)
    if (e->capture == *g) e->capture = nullptr;
  stream->capture_origin = false;
  --streams().captures;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* e, cudaGraph_t g, unsigned long long) {
  FOVEA_ENTER;
  *e = new CUgraphExec_st{.nodes = std::make_shared<const std::vector<std::function<void()>>>(g->nodes)};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t s) {
  FOVEA_ENTER;
  return queue(s, [nodes = e->nodes] {
    for (const auto& node : *nodes)
      if (!device_has_failed()) node();
  });
}
cudaError_t cudaGraphDestroy(cudaGraph_t g) {
  std::lock_guard lock(runtime_mutex());
  delete g;
  return sticky_error();
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e) {
  std::lock_guard lock(runtime_mutex());
  delete e;
  return sticky_error();
}
