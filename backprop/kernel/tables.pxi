# Names of activations, losses and update rules. Their codes are the places in the tables of src_c/.

cdef const bp_activation *activations = kernel.activations
cdef const bp_loss *losses = kernel.losses
cdef const bp_update_rule *update_rules = kernel.update_rules


cdef list names_of_activations():
    cdef const bp_activation *row = activations
    names = []
    while row.name != NULL:
        names.append(row.name.decode())
        row += 1
    return names


cdef list names_of_losses():
    cdef const bp_loss *row = losses
    names = []
    while row.name != NULL:
        names.append(row.name.decode())
        row += 1
    return names


cdef list names_of_update_rules():
    cdef const bp_update_rule *row = update_rules
    names = []
    while row.name != NULL:
        names.append(row.name.decode())
        row += 1
    return names


ACTIVATIONS = tuple(names_of_activations())
cdef tuple loss_names = tuple(names_of_losses())
LOSSES = {name: losses[code].output.decode() for code, name in enumerate(loss_names)}
TARGET_RANGES = {name: (losses[code].low, losses[code].high) for code, name in enumerate(loss_names)}
cdef tuple update_names = tuple(names_of_update_rules())
UPDATE_RULES = {name: (update_rules[code].n_slots, update_rules[code].n_scalars)
                for code, name in enumerate(update_names)}
