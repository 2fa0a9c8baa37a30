#include "bindings/stream_parts.h"

#include <structmember.h>

#include <cstddef>

namespace lstmfast::bindings {
namespace {

PyTypeObject* parts_type = nullptr;  // set when the module is made

StreamParts* parts_of(PyObject* self) { return reinterpret_cast<StreamParts*>(self); }

int parts_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(parts_of(self)->core);
  Py_VISIT(parts_of(self)->model);
  return 0;
}

int parts_clear(PyObject* self) {
  Py_CLEAR(parts_of(self)->core);
  Py_CLEAR(parts_of(self)->model);
  return 0;
}

void parts_dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (parts_of(self)->weak_references) PyObject_ClearWeakRefs(self);
  parts_clear(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMemberDef parts_members[] = {
    {"_core", T_OBJECT_EX, offsetof(StreamParts, core), 0, nullptr},
    {"_model", T_OBJECT_EX, offsetof(StreamParts, model), 0, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(StreamParts, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

PyType_Slot parts_slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(parts_traverse)},
                             {Py_tp_clear, reinterpret_cast<void*>(parts_clear)},
                             {Py_tp_dealloc, reinterpret_cast<void*>(parts_dealloc)},
                             {Py_tp_members, parts_members},
                             {0, nullptr}};

PyType_Spec parts_spec = {"lstmfast._core.StreamParts", sizeof(StreamParts), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, parts_slots};

}  // namespace

StreamParts* as_stream_parts(PyObject* object) {
  return PyObject_TypeCheck(object, parts_type) ? parts_of(object) : nullptr;
}

Reference make_stream_parts_type() {
  Reference type = Reference::stolen(PyType_FromSpec(&parts_spec));
  if (!type) throw PythonError();
  parts_type = reinterpret_cast<PyTypeObject*>(type.get());
  return type;
}

}  // namespace lstmfast::bindings
