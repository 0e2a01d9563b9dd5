//! `WDF_OBJECT_ATTRIBUTES`, checked once and copied.

use wdk_sys::{
    _WDF_EXECUTION_LEVEL, _WDF_SYNCHRONIZATION_SCOPE, NTSTATUS, PFN_WDF_OBJECT_CONTEXT_CLEANUP,
    PFN_WDF_OBJECT_CONTEXT_DESTROY, WDF_EXECUTION_LEVEL, WDF_OBJECT_ATTRIBUTES, WDF_OBJECT_CONTEXT_TYPE_INFO,
    WDF_SYNCHRONIZATION_SCOPE,
};

use crate::call;
use crate::nt::status;

/// What the attributes say; [`Attributes::NONE`] stands for `WDF_NO_OBJECT_ATTRIBUTES`.
#[derive(Clone, Copy)]
pub(crate) struct Attributes {
    pub(crate) cleanup: PFN_WDF_OBJECT_CONTEXT_CLEANUP,
    pub(crate) destroy: PFN_WDF_OBJECT_CONTEXT_DESTROY,
    pub(crate) execution_level: WDF_EXECUTION_LEVEL,
    pub(crate) synchronization_scope: WDF_SYNCHRONIZATION_SCOPE,
    /// The handle of `ParentObject`, zero for none.
    pub(crate) parent: usize,
    pub(crate) context_size: usize,
    pub(crate) context_type: *const WDF_OBJECT_CONTEXT_TYPE_INFO,
}

// SAFETY: the pointer is to the driver's constant type information.
unsafe impl Send for Attributes {}
// SAFETY: as above.
unsafe impl Sync for Attributes {}

impl Attributes {
    pub(crate) const NONE: Self = Self {
        cleanup: None,
        destroy: None,
        execution_level: _WDF_EXECUTION_LEVEL::WdfExecutionLevelInheritFromParent,
        synchronization_scope: _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent,
        parent: 0,
        context_size: 0,
        context_type: core::ptr::null(),
    };

    /// For an object without callbacks of its own, which has neither an execution level nor a synchronization scope.
    ///
    /// # Errors
    /// STATUS_WDF_EXECUTION_LEVEL_INVALID, STATUS_WDF_SYNCHRONIZATION_SCOPE_INVALID if it was given one.
    pub(crate) fn without_constraints(self) -> Result<Self, NTSTATUS> {
        if self.execution_level != Self::NONE.execution_level {
            return Err(status::WDF_EXECUTION_LEVEL_INVALID);
        }
        if self.synchronization_scope != Self::NONE.synchronization_scope {
            return Err(status::WDF_SYNCHRONIZATION_SCOPE_INVALID);
        }
        Ok(self)
    }

    pub(super) fn has_context_or_callbacks(&self) -> bool {
        !self.context_type.is_null() || self.cleanup.is_some() || self.destroy.is_some()
    }
}

/// Checks the attributes as KMDF does.
///
/// # Errors
/// STATUS_INFO_LENGTH_MISMATCH for a wrong `Size`, STATUS_WDF_OBJECT_ATTRIBUTES_INVALID for an enumeration out of range
/// and for a `ContextSizeOverride` that is smaller than the context or without a context type.
pub(crate) fn check(pointer: *const WDF_OBJECT_ATTRIBUTES) -> Result<Attributes, NTSTATUS> {
    let Some(given) = call::read(pointer) else {
        return Ok(Attributes::NONE);
    };
    if given.Size as usize != size_of::<WDF_OBJECT_ATTRIBUTES>() {
        return Err(status::INFO_LENGTH_MISMATCH);
    }
    let levels = _WDF_EXECUTION_LEVEL::WdfExecutionLevelInheritFromParent
        ..=_WDF_EXECUTION_LEVEL::WdfExecutionLevelDispatch;
    let scopes = _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent
        ..=_WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeNone;
    if !levels.contains(&given.ExecutionLevel) || !scopes.contains(&given.SynchronizationScope) {
        return Err(status::WDF_OBJECT_ATTRIBUTES_INVALID);
    }
    let mut context_size = 0;
    if let Some(info) = call::read(given.ContextTypeInfo) {
        if info.Size as usize != size_of::<WDF_OBJECT_CONTEXT_TYPE_INFO>() {
            return Err(status::INFO_LENGTH_MISMATCH);
        }
        context_size = info.ContextSize;
        if given.ContextSizeOverride != 0 {
            if given.ContextSizeOverride < context_size {
                return Err(status::WDF_OBJECT_ATTRIBUTES_INVALID);
            }
            context_size = given.ContextSizeOverride;
        }
    } else if given.ContextSizeOverride != 0 {
        return Err(status::WDF_OBJECT_ATTRIBUTES_INVALID);
    }
    Ok(Attributes {
        cleanup: given.EvtCleanupCallback,
        destroy: given.EvtDestroyCallback,
        execution_level: given.ExecutionLevel,
        synchronization_scope: given.SynchronizationScope,
        parent: given.ParentObject.addr(),
        context_size,
        context_type: given.ContextTypeInfo,
    })
}
