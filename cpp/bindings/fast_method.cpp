#include "bindings/fast_method.h"

#include <structmember.h>

#include <cstddef>
#include <exception>
#include <new>

namespace lstmfast::bindings {
namespace {

struct FastMethod {
  PyObject_HEAD vectorcallfunc vectorcall;
  PyObject* general;
  Answer answer;
};

PyTypeObject* fast_type = nullptr;  // set when the module is made

PyObject* fast_vectorcall(PyObject* self, PyObject* const* args, size_t flags, PyObject* keywords) {
  const Py_ssize_t count = PyVectorcall_NARGS(flags);
  const bool with_out = keywords && PyTuple_GET_SIZE(keywords) == 1 && PyTuple_GET_ITEM(keywords, 0) == call_names.out;
  if (!keywords || with_out) {
    PyObject* const out = with_out && args[count] != Py_None ? args[count] : nullptr;
    try {
      if (Reference result = reinterpret_cast<FastMethod*>(self)->answer(args, count, out)) return result.release();
    } catch (const PythonError&) {
      return nullptr;
    } catch (const std::bad_alloc&) {
      return PyErr_NoMemory();
    } catch (const std::exception& error) {  // nothing may unwind through the interpreter
      PyErr_SetString(PyExc_RuntimeError, error.what());
      return nullptr;
    }
  }
  return PyObject_Vectorcall(reinterpret_cast<FastMethod*>(self)->general, args, flags, keywords);
}

// As a function does: found on an instance, it is bound to it.
PyObject* fast_bind(PyObject* self, PyObject* object, PyObject*) {
  if (!object || object == Py_None) return Py_NewRef(self);
  return PyMethod_New(self, object);
}

// Name, documentation and signature are the general function's.
PyObject* fast_attribute(PyObject* self, PyObject* name) {
  PyObject* const general = reinterpret_cast<FastMethod*>(self)->general;
  if (PyUnicode_CompareWithASCIIString(name, "__wrapped__") == 0) return Py_NewRef(general);
  return PyObject_GetAttr(general, name);
}

int fast_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(reinterpret_cast<FastMethod*>(self)->general);
  return 0;
}

int fast_clear(PyObject* self) {
  Py_CLEAR(reinterpret_cast<FastMethod*>(self)->general);
  return 0;
}

void fast_dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  fast_clear(self);
  PyObject_GC_Del(self);
  Py_DECREF(type);
}

PyMemberDef fast_members[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(FastMethod, vectorcall), READONLY, nullptr},
                              {nullptr, 0, 0, 0, nullptr}};

PyType_Slot fast_slots[] = {{Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                            {Py_tp_descr_get, reinterpret_cast<void*>(fast_bind)},
                            {Py_tp_getattro, reinterpret_cast<void*>(fast_attribute)},
                            {Py_tp_traverse, reinterpret_cast<void*>(fast_traverse)},
                            {Py_tp_clear, reinterpret_cast<void*>(fast_clear)},
                            {Py_tp_dealloc, reinterpret_cast<void*>(fast_dealloc)},
                            {Py_tp_members, fast_members},
                            {0, nullptr}};

PyType_Spec fast_spec = {
    "lstmfast._core.FastMethod", sizeof(FastMethod), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR, fast_slots};

}  // namespace

Reference make_fast_method_type() {
  Reference type = Reference::stolen(PyType_FromSpec(&fast_spec));
  if (!type) throw PythonError();
  fast_type = reinterpret_cast<PyTypeObject*>(Py_NewRef(type.get()));
  return type;
}

Reference make_fast_method(PyObject* general, Answer answer) {
  FastMethod* const made = PyObject_GC_New(FastMethod, fast_type);
  if (!made) throw PythonError();
  made->vectorcall = fast_vectorcall;
  made->general = Py_NewRef(general);
  made->answer = answer;
  PyObject_GC_Track(reinterpret_cast<PyObject*>(made));
  return Reference::stolen(reinterpret_cast<PyObject*>(made));
}

}  // namespace lstmfast::bindings
