using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.WeightConverter.Maps;

/// <summary>Makes this project's checkpoint of a U-Net that anybody wrote.</summary>
internal static class CheckpointMap
{
    /// <summary>The checkpoint's tensors: both sets of weights, and the optimiser's moments where the source has them.</summary>
    /// <exception cref="WeightsException">Moments are missing, left over or of another shape than their weights.</exception>
    public static List<TensorSource> Tensors(UnetSource source, TensorCopies copies)
    {
        var slots = source.Layout.Slots;
        string model = Checkpoint.PrefixOf(CheckpointPart.Model), average = Checkpoint.PrefixOf(CheckpointPart.Average);
        var tensors = new List<TensorSource>();
        tensors.AddRange(slots.Select(slot => copies.Of(source.Weight(slot, averaged: false), model + slot.Name)));
        tensors.AddRange(slots.Select(slot => copies.Of(source.Weight(slot, averaged: true), average + slot.Name)));
        if (source.HasMoments)
        {
            foreach (var part in (CheckpointPart[])[CheckpointPart.FirstMoment, CheckpointPart.SecondMoment])
            {
                tensors.AddRange(Moments(source, part)
                    .Select(moment => copies.Of(moment.Tensor, Checkpoint.PrefixOf(part) + slots[moment.Index].Name, keep: true)));
            }
        }
        return tensors;
    }

    /// <summary>A moment of every trainable weight.</summary>
    public static IEnumerable<(int Index, Formats.StoredTensor Tensor)> Moments(UnetSource source, CheckpointPart part)
    {
        foreach (var (index, slot) in source.Layout.Slots.Index().Where(slot => slot.Item.IsTrainable))
        {
            var moment = source.Moment(index, part);
            if (moment is null || !slot.FileShape.Extents.SequenceEqual(moment.Shape) || moment.Type.Element?.IsFloat() != true)
            {
                throw new WeightsException(source.File.Path, null,
                    $"the optimiser's state of parameter {index} ({slot.Name}) is "
                        + $"{(moment is null ? "missing" : moment.Type.Name + " " + moment.ShapeText)}",
                    $"expected floats {slot.FileShape}: convert the model's state_dict() alone to go on without it");
            }
            yield return (index, moment);
        }
    }
}
